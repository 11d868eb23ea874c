"""The spans of a trace as a tree with their timeline, and what each was recorded with."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from clew.sessions.lineage import Node, tree
from clew.store import otlp
from clew.store.encoding import tagged
from clew.store.record import ERROR, KINDS, SpanRecord
from clew.viewer.contents import Excerpt, excerpt, one_line
from clew.viewer.parts import parse_id
from clew.viewer.pictures import timeline
from clew.viewer.readers import Reader, Readers, TraceNotFoundError, readers_of
from clew.viewer.rendering import href, page
from clew.viewer.wording import moment_of

_PER_PAGE = 300
_MOST_ATTRIBUTES = 200
_MOST_EVENTS = 50
"""Of a span; of its links as well."""
_MAX_VALUE = 1_000
_DEEPEST = 12
_STATUS = ("UNSET", "OK", "ERROR")


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One line of the tree."""

    span: SpanRecord
    name: str
    kind: str
    depth: int
    bar: Markup
    href: str
    failed: bool
    is_wanted: bool
    """Whether the address names it."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.span.end - self.span.start) / 1e9


def trace(request: Request) -> Response:
    """Answer a request to the tree of a trace."""
    trace_id = _trace_id(request)
    with readers_of(request).lend() as reader:
        spans = reader.outline(trace_id)
    if not spans:
        raise TraceNotFoundError(trace_id)
    nodes = tree(spans)
    text = request.query_params.get("from", "0")
    skipped = int(text) if text.isdecimal() and len(text) < 9 else 0
    wanted = _wanted(request, nodes)
    if wanted is not None:
        skipped = wanted // _PER_PAGE * _PER_PAGE
    start = min(span.start for span in spans)
    length = max(1, max(span.end for span in spans) - start)
    depths: dict[int, int] = {}
    for node in nodes:
        depths[id(node)] = depths[id(node.parent)] + 1 if node.parent is not None else 0
    rows = [
        _row(node, depths[id(node)], start, length, is_wanted=number == wanted)
        for number, node in enumerate(nodes[skipped : skipped + _PER_PAGE], skipped)
    ]
    more = max(0, len(nodes) - skipped - _PER_PAGE)
    return page(
        request,
        "trace.html",
        trace=trace_id.hex(),
        session_id=next((node.session for node in nodes if node.session), ""),
        rows=rows,
        total=len(nodes),
        skipped=skipped,
        seconds=length / 1e9,
        started=moment_of(start),
        json_href=href("/trace.json", trace=trace_id.hex()),
        more=more,
        next=href("/trace", **{"trace": trace_id.hex(), "from": skipped + _PER_PAGE}),
    )


def trace_json(request: Request) -> Response:
    """Answer a request to a trace, or to one span of it, as OTLP JSON."""
    trace_id = _trace_id(request)
    readers = readers_of(request)
    with readers.lend() as reader:
        if request.query_params.get("span"):
            spans = [_one_span(request, reader, trace_id)]
            return Response(otlp.to_json(spans), media_type="application/json")
        batches = reader.batches(trace_id)
    if not batches:
        raise TraceNotFoundError(trace_id)
    pieces = otlp.json_pieces(_spans(readers, ids) for ids in batches)
    return StreamingResponse(pieces, media_type="application/json")


def _spans(readers: Readers, ids: Sequence[int]) -> list[SpanRecord]:
    with readers.lend() as reader:
        return reader.spans_with_ids(ids)


def span(request: Request) -> Response:
    """Answer a request to everything that one span was recorded with."""
    trace_id = _trace_id(request)
    with readers_of(request).lend() as reader:
        found = _one_span(request, reader, trace_id)
    everything = request.query_params.get("all") == "1"
    most = len(found.attributes) if everything else _MOST_ATTRIBUTES
    raw = href("/trace.json", trace=trace_id.hex(), span=found.span_id.hex())
    return page(
        request,
        "span.html",
        span=found,
        name=one_line(found.name),
        kind=KINDS[found.kind] if 0 <= found.kind < len(KINDS) else str(found.kind),
        outcome=_STATUS[found.status] if 0 <= found.status < len(_STATUS) else str(found.status),
        started=moment_of(found.start),
        seconds=(found.end - found.start) / 1e9,
        message=excerpt(found.status_message, _MAX_VALUE, raw),
        attributes=_values(found.attributes, raw, most),
        hidden=max(0, len(found.attributes) - most),
        events=[
            (one_line(event.name), (event.time - found.start) / 1e9, _values(event.attributes, raw))
            for event in found.events[:_MOST_EVENTS]
        ],
        more_events=max(0, len(found.events) - _MOST_EVENTS),
        links=[(it.trace_id.hex(), it.span_id.hex()) for it in found.links[:_MOST_EVENTS]],
        more_links=max(0, len(found.links) - _MOST_EVENTS),
        resource=_values(found.resource.attributes, raw),
        scope=one_line(f"{found.scope.name} {found.scope.version}"),
        json_href=raw,
    )


def _wanted(request: Request, nodes: Sequence[Node]) -> int | None:
    """Return the place of the span that the address names; None if it names none of these."""
    if not (text := request.query_params.get("span", "")):
        return None
    span_id = parse_id(text)
    return next((at for at, node in enumerate(nodes) if node.span.span_id == span_id), None)


def _trace_id(request: Request) -> bytes:
    return parse_id(request.query_params.get("trace", ""), 16)


def _one_span(request: Request, reader: Reader, trace_id: bytes) -> SpanRecord:
    wanted = parse_id(request.query_params.get("span", ""))
    if (found := reader.span(trace_id, wanted)) is not None:
        return found
    if not reader.has(trace_id):
        raise TraceNotFoundError(trace_id)
    message = f"there is no span {wanted.hex()} in the trace {trace_id.hex()}"
    raise LookupError(message)


def _row(node: Node, depth: int, start: int, length: int, *, is_wanted: bool) -> SpanRow:
    record = node.span
    failed = record.status == ERROR
    kind = node.kind.lower() or "other"
    share = ((record.start - start) / length, (record.end - start) / length)
    return SpanRow(
        span=record,
        name=one_line(record.name, 90),
        kind=one_line(kind, 20),
        depth=min(depth, _DEEPEST),
        bar=timeline(*share, "bad" if failed else "model" if kind == "llm" else "good"),
        href=href("/span", trace=record.trace_id.hex(), span=record.span_id.hex()),
        failed=failed,
        is_wanted=is_wanted,
    )


def _values(attributes: Any, raw: str, most: int = _MOST_ATTRIBUTES) -> list[tuple[str, Excerpt]]:
    shown = []
    for name, value in list(tagged(attributes).items())[:most]:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown.append((one_line(name), excerpt(text, _MAX_VALUE, raw)))
    return shown
