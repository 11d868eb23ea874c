"""The evaluations of a store as a part of an export: those that no stored span carries already.

The sessions that are chosen are in the temporary table ``wanted`` of the connection.
"""

import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from clew.evaluations.evaluation import Evaluation
from clew.evaluations.results import COLUMNS, evaluation_of
from clew.evaluations.wire import carriers_of
from clew.store.record import SpanRecord

FIRST = 2**62
"""What is added to the number of an evaluation, so that it is told from that of a span."""
_PER_READ = 500
_NOT_CARRIED = """
NOT EXISTS (
    SELECT 1 FROM span
    WHERE span.trace_id = substr(carrier, 1, 16) AND span.span_id = substr(carrier, 17, 8)
)
"""
_WANTED = """
(session_id IN (SELECT session_id FROM wanted) OR session_id = '' AND trace_id IN (
    SELECT span.trace_id FROM wanted JOIN span ON span.session_id = wanted.session_id
))
"""
_LATE = """
EXISTS (
    SELECT 1 FROM evaluation AS newer
    WHERE newer.session_id = evaluation.session_id
        AND newer.trace_id IS evaluation.trace_id
        AND newer.root_id IS evaluation.root_id
        AND newer.span_id IS evaluation.span_id
        AND newer.name = evaluation.name
        AND newer.identifier = evaluation.identifier
        AND newer.seen > evaluation.seen AND newer.id < evaluation.id
)
"""
_SPAN = (
    "SELECT span_id FROM span WHERE trace_id = ? ORDER BY parent_id IS NOT NULL, start_ns LIMIT 1"
)


def evaluations_to_export(connection: sqlite3.Connection, *, chosen: bool) -> "array[int]":
    """Return the numbers of the evaluations, all or those of the *chosen* sessions."""
    condition = f"{_NOT_CARRIED} AND {_WANTED}" if chosen else _NOT_CARRIED
    query = f"SELECT id FROM evaluation WHERE {condition} ORDER BY id"
    return array("q", (FIRST + number for (number,) in connection.execute(query)))


def current_ones(connection: sqlite3.Connection, *, chosen: bool) -> list[Evaluation]:
    """Return the evaluations that count, all or those of the *chosen* sessions."""
    condition = _WANTED if chosen else "1"
    query = f"SELECT id, {', '.join(COLUMNS)} FROM current_evaluation WHERE {condition} ORDER BY id"
    return [evaluation_of(row) for row in _rows(connection, query, ())]


def made_when(connection: sqlite3.Connection, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the evaluations of these numbers, each with when it was made, in nanoseconds."""
    for start in range(0, len(ids), _PER_READ):
        part = [number - FIRST for number in ids[start : start + _PER_READ]]
        query = f"SELECT id, made_ns FROM evaluation WHERE id IN ({', '.join('?' * len(part))})"
        for number, made in connection.execute(f"{query} ORDER BY id", part):
            yield FIRST + number, made


def carriers_with_ids(connection: sqlite3.Connection, ids: Sequence[int]) -> list[SpanRecord]:
    """Return the spans that carry the evaluations of these numbers."""
    if not ids:
        return []
    query = (
        f"SELECT id, {', '.join(COLUMNS)}, {_LATE} AS late FROM evaluation "
        f"WHERE id IN ({', '.join('?' * len(ids))}) ORDER BY id"
    )
    rows = _rows(connection, query, [number - FIRST for number in ids])
    late = {row["id"] for row in rows if row.pop("late")}

    def span_of_trace(trace: bytes) -> bytes | None:
        row = connection.execute(_SPAN, (trace,)).fetchone()
        return row[0] if row else None

    return carriers_of([evaluation_of(row) for row in rows], span_of_trace, late)


def _rows(
    connection: sqlite3.Connection, query: str, parameters: Sequence[object]
) -> list[dict[str, Any]]:
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
