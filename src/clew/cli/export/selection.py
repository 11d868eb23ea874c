"""Which spans are exported: their ids in the store, in the order in which they were stored."""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clew.sessions.engines.engine import Window

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations


_PER_PAGE = 1000
_FIRST, _LAST = -(2**63), 2**63 - 1


def sessions_like(store: "Conversations", search: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all sessions that are wanted."""
    after = None
    while True:
        page = store.list(order_by="first", after=after, limit=_PER_PAGE, **search)
        yield from (session.id for session in page)
        if len(page) < _PER_PAGE:
            return
        after = page[-1].id


def all_spans(connection: sqlite3.Connection) -> "array[int]":
    """Return the ids of all spans, those outside of any session included."""
    return array(
        "q", (number for (number,) in connection.execute("SELECT id FROM span ORDER BY id"))
    )


def spans_in(connection: sqlite3.Connection, window: Window) -> "array[int]":
    """Return the ids of the spans that began in the *window*, whose sessions become the wanted."""
    query = """
        SELECT DISTINCT session_id FROM span
        WHERE session_id IS NOT NULL AND start_ns BETWEEN ? AND ?
    """
    _want(connection, connection.execute(query, _bounds(window)))
    query = "SELECT id FROM span WHERE start_ns BETWEEN ? AND ? ORDER BY id"
    return array("q", (number for (number,) in connection.execute(query, _bounds(window))))


def spans_of(
    connection: sqlite3.Connection, sessions: Iterable[str], window: Window
) -> "array[int]":
    """Return the ids of the spans of these sessions, and of those without one in their traces.

    Only those that began in the *window*.
    """
    _want(connection, ((session,) for session in sessions))
    query = """
        SELECT span.id FROM span
        WHERE trace_id IN (
            SELECT span.trace_id FROM wanted JOIN span ON span.session_id = wanted.session_id
        )
        AND (session_id IS NULL OR session_id IN (SELECT session_id FROM wanted))
        AND start_ns BETWEEN ? AND ?
        ORDER BY span.id
    """
    return array("q", (number for (number,) in connection.execute(query, _bounds(window))))


def _bounds(window: Window) -> tuple[int, int]:
    """Return the earliest and the latest time, both of which are within."""
    since, until = window.since_ns, window.until_ns
    return (_FIRST if since is None else since), (_LAST if until is None else until - 1)


def _want(connection: sqlite3.Connection, sessions: Iterable[tuple[str]]) -> None:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (session_id TEXT PRIMARY KEY)")
    connection.execute("DELETE FROM wanted")
    connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", sessions)
