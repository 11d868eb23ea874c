"""Deletes from the store what is too old, and the oldest of what is too much."""

import sqlite3
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from clew.sessions import evaluated
from clew.sessions.carried import session_around
from clew.sessions.deletion import compact_index, shrink
from clew.sessions.summaries import LATEST, bring_up_to_date, refresh
from clew.store.database import file_size, patience, transaction
from clew.store.reader import spans_of_trace

_SECONDS_PER_STEP = 0.2
"""How long is deleted in one transaction, for which other writers have to wait."""
_SECONDS_FOR_READERS = 0.2
"""How long readers are waited for until the log is emptied; it is done the next time else."""
_SILENT_TRACES_AT_ONCE = 20
_SHARE_OF_TURNS = 16
"""When one part in so many was deleted, the index is compacted."""
_SHARE_OF_SESSION = 10
"""Of a session that alone is too much, one part in so many is deleted at once."""


class _Oldest(NamedTuple):
    """What is deleted next: the traces of a session, or those outside of any."""

    traces: Sequence[bytes]
    session: str = ""


def keep_within(
    connection: sqlite3.Connection,
    max_bytes: float,
    older_than_ns: int | None,
    seconds: float = float("inf"),
) -> bool:
    """Delete the oldest sessions, whole, until the store is no greater than it may be.

    Sessions whose last span ended before *older_than_ns* are deleted in any case. A trace outside
    of any session counts as one. Of a session that alone is too much, the oldest traces are
    deleted: it may be going on. Return whether it was done in so many *seconds*.
    """
    until = monotonic() + seconds
    deleted = uncompacted = 0
    while is_done := bring_up_to_date(connection, until - monotonic()):
        step_ends = min(until, monotonic() + _SECONDS_PER_STEP)
        with transaction(connection):
            while number := _delete_next(connection, max_bytes, older_than_ns):
                deleted += number
                uncompacted += number
                is_index_due = uncompacted > _share_of_turns(connection)
                if is_index_due or monotonic() > step_ends:
                    break
        if not number:
            break
        if is_index_due:  # It has grown by what was deleted.
            compact_index(connection, until)
            uncompacted = 0
        if monotonic() > until:
            is_done = False
            break
    if deleted:
        with patience(connection, _SECONDS_FOR_READERS):
            shrink(connection)
    return is_done


def _delete_next(
    connection: sqlite3.Connection, max_bytes: float, older_than_ns: int | None
) -> int:
    """Delete what is to be deleted first; return how many traces and evaluations those are."""
    is_too_great = file_size(connection) > max_bytes
    until_ns = LATEST if is_too_great else (older_than_ns or 0) - 1
    alone = evaluated.delete_without_target(
        connection, min(until_ns, _first_end(connection) if is_too_great else until_ns)
    )
    if alone:
        return alone
    traces, session = _oldest(connection, until_ns)
    if is_too_great and session and _is_only(connection, session):
        traces = traces[: len(traces) // _SHARE_OF_SESSION or 1]
    sessions = evaluated.sessions_of(connection, traces)
    for trace in traces:
        _delete(connection, trace, session)
    refresh(connection, traces)
    evaluated.delete_with(connection, traces, sessions)
    return len(traces)


def _share_of_turns(connection: sqlite3.Connection) -> int:
    """Return about how many turns may be deleted until the index is compacted."""
    query = "SELECT (SELECT max(id) FROM turn) - (SELECT min(id) FROM turn)"
    return (connection.execute(query).fetchone()[0] or 0) // _SHARE_OF_TURNS


def _first_end(connection: sqlite3.Connection) -> int:
    """Return when the session ended that ended longest ago."""
    (end,) = connection.execute("SELECT min(last_ns) FROM session").fetchone()
    return LATEST if end is None else int(end)


def _oldest(connection: sqlite3.Connection, until_ns: int) -> _Oldest:
    """Return the traces of the session, or those outside of any, that ended longest ago."""
    session = connection.execute(
        "SELECT last_ns, session_id FROM session WHERE last_ns <= ? ORDER BY last_ns LIMIT 1",
        (until_ns,),
    ).fetchone()
    if session is not None:
        until_ns = session[0]
    # What is beside a session in its trace goes with the last session of that.
    alone = connection.execute(
        "SELECT end_ns, trace_id FROM turn WHERE session_id = '' AND end_ns <= ? "
        "AND NOT EXISTS (SELECT 1 FROM turn AS other "
        "WHERE other.trace_id = turn.trace_id AND other.session_id > '') "
        "ORDER BY start_ns LIMIT 1",
        (until_ns,),
    ).fetchone()
    if alone is not None:
        until_ns = alone[0]
    silent = connection.execute(
        "SELECT trace_id FROM silent_trace WHERE end_ns <= ? ORDER BY end_ns LIMIT ?",
        (until_ns, _SILENT_TRACES_AT_ONCE),
    ).fetchall()
    if silent:
        return _Oldest([trace for (trace,) in silent])
    if alone is not None:
        return _Oldest([alone[1]])
    if session is None:
        return _Oldest([])
    rows = connection.execute(
        "SELECT trace_id FROM turn WHERE session_id = ? GROUP BY trace_id ORDER BY min(start_ns)",
        (session[1],),
    )
    return _Oldest([trace for (trace,) in rows], session[1])


def _is_only(connection: sqlite3.Connection, session: str) -> bool:
    query = "SELECT NOT EXISTS (SELECT 1 FROM session WHERE session_id <> ?)"
    return bool(connection.execute(query, (session,)).fetchone()[0])


def _delete(connection: sqlite3.Connection, trace: bytes, session: str) -> None:
    """Delete the spans of a *session* in this *trace*; and all others, if those are nobody's."""
    ids = _spans_of(connection, trace, session) if session else []
    if ids:
        connection.executemany("DELETE FROM span WHERE trace_id = ? AND span_id = ?", ids)
    else:  # Or it is not known which are the session's.
        connection.execute("DELETE FROM span WHERE trace_id = ?", (trace,))


def _spans_of(
    connection: sqlite3.Connection, trace: bytes, session: str
) -> list[tuple[bytes, bytes]]:
    """Return the ids of the *session*'s spans where there are spans of others; else nothing."""
    others = (
        "SELECT EXISTS (SELECT 1 FROM turn WHERE trace_id = ? AND session_id NOT IN ('', ?)) "
        # Whoever only rates a turn has a span in its trace, and does not own it.
        "OR EXISTS (SELECT 1 FROM span WHERE trace_id = ? AND session_id <> ? "
        "AND openinference_kind IS NOT 'EVALUATOR')"
    )
    if not connection.execute(others, (trace, session, trace, session)).fetchone()[0]:
        return []
    by_id = {it.span_id: it for it in spans_of_trace(connection, trace)}
    return [(trace, span) for span in by_id if session_around(span, by_id) == session]
