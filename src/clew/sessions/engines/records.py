"""Makes SpanRecords of the rows that an engine returns for the view `spans`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from clew.sessions.engines.collector_values import attributes_of_text, read_array, read_object
from clew.sessions.engines.errors import EngineError
from clew.store.encoding import untagged
from clew.store.record import KINDS, Attributes, Event, Link, Resource, Scope, SpanRecord

NAMES = (
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "start_ns",
    "end_ns",
    "status",
    "status_message",
    "scope",
    "span_kind",
    "attributes",
    "events",
    "links",
    "resource",
)
"""The columns that are needed, in the order in which `record_of` takes them."""
_STATUSES = {"UNSET": 0, "OK": 1, "ERROR": 2}


def records_of(rows: Sequence[Sequence[Any]], *, has_types: bool) -> Iterator[SpanRecord]:
    """Yield the spans that *rows* with the columns `NAMES` are."""
    for row in rows:
        yield record_of(row, has_types=has_types)


def record_of(row: Sequence[Any], *, has_types: bool) -> SpanRecord:
    """Return the span that a row with the columns `NAMES` is."""
    trace, span, parent, name, start, end, status, message, scope, kind, *texts = row
    if None in {trace, span, start, end}:
        missing = (("trace_id", trace), ("span_id", span), ("start", start), ("end", end))
        names = ", ".join(column for column, value in missing if value is None)
        said = f"a row is no span, as it has no {names}: trace {trace}, span {span}, {name}"
        raise EngineError(said)
    attributes, events, links, resource = texts
    read = untagged if has_types else attributes_of_text
    parse, parse_events = (json.loads, json.loads) if has_types else (read_object, read_array)
    return SpanRecord(
        trace_id=bytes.fromhex(trace),
        span_id=bytes.fromhex(span),
        parent_id=bytes.fromhex(parent) if parent else None,
        name=name,
        start=start,
        end=end,
        attributes=read(parse(attributes)),
        kind=KINDS.index(kind) if kind in KINDS else 0,
        status=_STATUSES.get(status, 0),
        status_message=message or "",
        events=tuple(_events(parse_events(events), read)) if events else (),
        links=tuple(_links(parse_events(links), read)) if links else (),
        resource=_resource(resource, has_types=has_types) if resource else Resource({}),
        scope=_scope(scope or ""),
    )


def _events(found: Sequence[Sequence[Any]], read: Any) -> Iterator[Event]:
    for name, time, attributes in found:
        yield Event(name, int(time), _attributes(attributes, read))


def _links(found: Sequence[Sequence[Any]], read: Any) -> Iterator[Link]:
    for trace, span, attributes in found:
        yield Link(bytes.fromhex(trace), bytes.fromhex(span), _attributes(attributes, read))


def _attributes(found: Mapping[str, Any], read: Any) -> Attributes:
    attributes: Attributes = read(found)
    return attributes


@lru_cache(maxsize=256)
def _resource(text: str, *, has_types: bool) -> Resource:
    if has_types:
        return Resource(untagged(json.loads(text)))
    return Resource(attributes_of_text(read_object(text)))


@lru_cache(maxsize=256)
def _scope(name: str) -> Scope:
    return Scope(name)
