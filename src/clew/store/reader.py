"""Reads spans from the store, with everything that they were recorded with."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from clew.store.columns import COLUMNS, joined
from clew.store.encoding import unpack, untagged
from clew.store.record import Event, Link, Resource, Scope, SpanRecord

_SELECT = f"""
SELECT span.id, trace_id, span_id, parent_id, name, kind, start_ns, end_ns, status, status_message,
    flags,
    resource.content AS resource, scope.content AS scope, attributes, details,
    {", ".join(column.name for column in COLUMNS)}
FROM span JOIN resource ON resource.id = resource_id JOIN scope ON scope.id = scope_id
"""


def spans_of_trace(connection: sqlite3.Connection, trace_id: bytes) -> list[SpanRecord]:
    """Return the spans of one trace, in the order of their start."""
    return [record for _, record in numbered_spans_of_trace(connection, trace_id)]


def numbered_spans_of_trace(
    connection: sqlite3.Connection, trace_id: bytes
) -> list[tuple[int, SpanRecord]]:
    """Return the spans of one trace with their ids, in the order of their start."""
    return list(_read(connection, "WHERE trace_id = ?", (trace_id,)))


def traces_of_session(connection: sqlite3.Connection, session_id: str) -> list[bytes]:
    """Return all traces in which there is a span of this session, in the order of their start."""
    query = (
        "SELECT trace_id FROM span WHERE session_id = ? GROUP BY trace_id ORDER BY min(start_ns)"
    )
    return [trace for (trace,) in connection.execute(query, (session_id,))]


def spans_after(
    connection: sqlite3.Connection, after: int = 0, limit: int = 1000
) -> list[tuple[int, SpanRecord]]:
    """Return up to *limit* spans that were stored after the one with the id *after*, with ids."""
    order = "WHERE span.id > ? ORDER BY span.id LIMIT ?"
    return list(_read(connection, order, (after, limit), order=""))


def spans_with_ids(
    connection: sqlite3.Connection, ids: Sequence[int]
) -> list[tuple[int, SpanRecord]]:
    """Return those of the spans with these *ids* that are still there, with their ids."""
    where = f"WHERE span.id IN ({', '.join('?' * len(ids))})"
    return list(_read(connection, where, ids, order="ORDER BY span.id"))


def new_span_traces(
    connection: sqlite3.Connection, after: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return the ids of the next *limit* spans after the id *after*, each with its trace."""
    query = "SELECT id, trace_id FROM span WHERE id > ? ORDER BY id LIMIT ?"
    return connection.execute(query, (after, limit)).fetchall()


def _read(
    connection: sqlite3.Connection,
    where: str,
    parameters: Iterable[Any],
    order: str = "ORDER BY start_ns, span.id",
) -> Iterator[tuple[int, SpanRecord]]:
    cursor = connection.execute(f"{_SELECT} {where} {order}", tuple(parameters))
    names = [column[0] for column in cursor.description]
    for row in cursor:
        values = dict(zip(names, row, strict=True))
        yield values["id"], _record(values)


def _record(row: Mapping[str, Any]) -> SpanRecord:
    details = json.loads(unpack(row["details"])) if row["details"] else {}
    dropped = details.get("dropped", (0, 0, 0))
    rest = untagged(json.loads(unpack(row["attributes"])))
    return SpanRecord(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_id=row["parent_id"],
        name=details.get("name", row["name"]),
        start=row["start_ns"],
        end=row["end_ns"],
        attributes=joined(row, rest),
        kind=row["kind"],
        status=row["status"],
        status_message=details.get("status_message", row["status_message"] or ""),
        events=tuple(
            Event(name, time, untagged(attributes), number)
            for name, time, attributes, number in details.get("events", ())
        ),
        links=tuple(
            Link(bytes.fromhex(trace), bytes.fromhex(span), untagged(attributes), *others)
            for trace, span, attributes, *others in details.get("links", ())
        ),
        resource=_resource(row["resource"]),
        scope=_scope(row["scope"]),
        trace_state=details.get("trace_state", ""),
        flags=row["flags"],
        dropped_attributes=dropped[0],
        dropped_events=dropped[1],
        dropped_links=dropped[2],
    )


@lru_cache(maxsize=256)
def _resource(content: str) -> Resource:
    fields = json.loads(content)
    attributes = untagged(fields.pop("attributes", {}))
    return Resource(attributes, **fields)


@lru_cache(maxsize=256)
def _scope(content: str) -> Scope:
    fields = json.loads(content)
    attributes = untagged(fields.pop("attributes", {}))
    return Scope(attributes=attributes or None, **fields)
