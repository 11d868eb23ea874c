"""Evaluations in spans: what a span says about itself, a trace, a session, or what it is linked to.

OpenInference's annotations and evaluations are read, which are the same thing under two names, and
OpenTelemetry's event; whoever wrote them. A span that carries what is said afterwards, and does
nothing else, is no part of a conversation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from clew.context import ids
from clew.sessions import rules
from clew.sessions.json_values import first, index, is_object, parse, text
from clew.spans import evaluation_attributes as wire
from clew.spans.evaluation_attributes import Result
from clew.store.record import KINDS, Link, SpanRecord

LATEST = 2**63 - 1
_STARTS = tuple(
    f"{withdrawn}{prefix}{form}s."
    for withdrawn in ("", wire.WITHDRAWN)
    for prefix in wire.PREFIXES.values()
    for form in wire.FORMS
)
_KEY = re.compile(
    r"(?P<withdrawn>clew\.withdrawn\.)?(?:(?P<scope>session|trace)\.)?"
    r"(?P<form>evaluation|annotation)s\.(?P<index>\d+)\.(?P=form)\.(?P<field>.+)",
    re.ASCII,
)
MAX_NAME = 200
"""Characters of a name, a label and a kind."""
MAX_EXPLANATION = 50_000
_TEXTS = {
    "label": MAX_NAME,
    "explanation": MAX_EXPLANATION,
    "annotator_kind": MAX_NAME,
    "identifier": ids.MAX_LENGTH,  # It may be the id of a user.
}
_EMPTY = {"annotator_kind": "CODE", "identifier": ""}
_OF_MESSAGES = frozenset(KINDS.index(it) for it in ("SERVER", "PRODUCER", "CONSUMER"))
"""Kinds of spans that are linked to others for their own reasons."""


@dataclass(frozen=True, slots=True)
class Carried:
    """An evaluation that a span carries."""

    place: str
    """Where in the span it is."""
    result: Result
    made_ns: int
    session_id: str = ""
    trace_id: bytes | None = None
    root_id: bytes | None = None
    span_id: bytes | None = None


def without_carriers(spans: Sequence[SpanRecord]) -> Sequence[SpanRecord]:
    """Return the spans that are part of a conversation.

    A carrier that traces the work of a judge has spans inside it, and stays with them.
    """
    carriers = {it.span_id for it in spans if is_carrier(it)}
    if not carriers:
        return spans
    carriers -= {it.parent_id for it in spans if it.parent_id is not None}
    return [it for it in spans if it.span_id not in carriers]


def is_carrier(span: SpanRecord) -> bool:
    """Whether a span was made to carry evaluations."""
    return span.attributes.get(wire.KIND) == wire.CARRIER_KIND and speaks(span)


def speaks(span: SpanRecord) -> bool:
    """Whether there is an evaluation in a span, usable or not."""
    return any(key.startswith(_STARTS) for key in span.attributes) or any(
        event.name == wire.EVENT for event in span.events
    )


def carried_by(span: SpanRecord) -> tuple[list[Carried], int]:
    """Return the evaluations in a span, and how many there are that cannot be used."""
    found: list[Carried] = []
    unusable = 0
    known: set[tuple[str, Result]] = set()
    for scope, place, fields, withdraws in _results(span):
        result = _result(fields)
        target = _target(span, scope)
        if result is None or target is None or result.withdraws != withdraws:
            unusable += 1
        elif (scope, result) not in known:  # It may be written under both names.
            known.add((scope, result))
            found.append(Carried(place, result, min(span.end, LATEST), **target))
    return found, unusable


def _results(span: SpanRecord) -> Iterator[tuple[str, str, Mapping[str, Any], bool]]:
    """Yield the scope, the place and the fields of each result, and whether it is a withdrawal."""
    results: dict[tuple[str, str, int, bool], dict[str, Any]] = {}
    for key, value in span.attributes.items():
        if not key.startswith(_STARTS) or not (match := _KEY.fullmatch(key)):
            continue
        if (number := index(match["index"])) is None:
            continue
        place = (match["scope"] or "span", match["form"], number, bool(match["withdrawn"]))
        results.setdefault(place, {})[match["field"]] = value
    # The same word first whichever came first: of two that differ, the last one counts.
    for (scope, form, number, withdraws), fields in sorted(results.items(), key=lambda it: it[0]):
        mark = "-" if withdraws else ""
        yield scope, f"{mark}{scope}.{form}.{number}", fields, withdraws
    if results:
        return  # The event says the same once more, with less.
    for number, event in enumerate(it for it in span.events if it.name == wire.EVENT):
        said = event.attributes
        fields = {
            "name": said.get(wire.EVENT_NAME),
            "score": said.get(wire.EVENT_SCORE),
            "label": said.get(wire.EVENT_LABEL),
            "explanation": said.get(wire.EVENT_EXPLANATION),
        }
        yield "span", f"event.{number}", fields, False


def _result(fields: Mapping[str, Any]) -> Result | None:
    """Return what the fields say; None if any of them is not as it has to be."""
    name = fields.get("name")
    texts = {it: fields[it] for it in _TEXTS if fields.get(it) is not None}
    named = isinstance(name, str) and name.strip() and len(name) <= MAX_NAME
    if not (named and _is_score(fields.get("score")) and all(map(_fits, texts, texts.values()))):
        return None
    metadata = fields.get("metadata")
    return Result(
        text(name),
        None if fields.get("score") is None else float(fields["score"]),
        **{**_EMPTY, **{key: text(it) for key, it in texts.items()}},
        metadata=text(metadata) if is_object(parse(metadata)) else "",
        version=text(fields.get(wire.VERSION))[:MAX_NAME],
    )


def _is_score(value: Any) -> bool:
    if value is None:
        return True
    try:
        return type(value) in {int, float} and isfinite(value)
    except OverflowError:  # A whole number that is greater than any float.
        return False


def _fits(field: str, value: Any) -> bool:
    if not isinstance(value, str) or len(value) > _TEXTS[field]:
        return False
    return field != "annotator_kind" or bool(value.strip())


def _target(span: SpanRecord, scope: str) -> dict[str, Any] | None:
    """Return what a result of this scope is about; None if the span does not say it."""
    session = text(first(span.attributes, rules.SESSION))
    if scope == "session":
        return {"session_id": session} if session else None
    links = span.links if _is_afterwards(span) else ()
    if len(links) > 1:
        return None
    target: dict[str, Any] = {"session_id": session, "trace_id": span.trace_id}
    if links:
        target["trace_id"] = links[0].trace_id
        if root := _turn_root(links[0]):
            target["root_id"] = root
    if scope == "span":
        target["span_id"] = links[0].span_id if links else span.span_id
    return target


def _is_afterwards(span: SpanRecord) -> bool:
    """Whether a span speaks of what it is linked to, and not of itself."""
    kind = rules.kind(span.attributes)
    return kind == wire.CARRIER_KIND or (not kind and span.kind not in _OF_MESSAGES)


def _turn_root(link: Link) -> bytes | None:
    said = link.attributes.get(wire.TURN_ROOT)
    try:
        root = bytes.fromhex(said) if isinstance(said, str) else b""
    except ValueError:
        return None
    return root if len(root) == len(link.span_id) else None
