"""Deletes sessions and users from the store."""

import sqlite3
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from clew.sessions import evaluated
from clew.sessions.summaries import bring_up_to_date, refresh
from clew.store.database import StoreError, transaction
from clew.store.reader import spans_with_ids

_TRACES_PER_STEP = 200
"""How many traces are deleted in one transaction, for which other writers have to wait."""
_PAGES_PER_STEP = 500
"""How many pages of the full-text index are written in one transaction."""


class Deleted(NamedTuple):
    """How much was deleted."""

    spans: int
    traces: int

    def __add__(self, other: tuple[object, ...]) -> "Deleted":
        spans, traces = other
        if not isinstance(spans, int) or not isinstance(traces, int):
            return NotImplemented
        return Deleted(self.spans + spans, self.traces + traces)


class StillReadError(StoreError):
    """What was deleted is still in the files of the store, as somebody reads an earlier state."""

    def __init__(self, deleted: Deleted) -> None:
        super().__init__(
            "it is deleted, but still in the files of the store, because another process, or a "
            "query that is still open, reads what was there before; forget it again when that has "
            "ended"
        )
        self.deleted = deleted


def forget_session(connection: sqlite3.Connection, session_id: str) -> Deleted:
    """Delete all spans of a session, spans without a session in its traces, and its evaluations.

    A trace in which there are spans of another session, too, keeps those.
    """
    deleted = _forget(connection, "session_id", session_id)
    # Also where nothing was found: what deleted it may have been interrupted.
    return erased(connection, deleted)


def forget_user(connection: sqlite3.Connection, user_id: str) -> Deleted:
    """Delete all spans of a user, and spans without a user in the traces of the user's turns.

    Evaluations of the user's turns are deleted with them, and those that were made by the user.
    """
    deleted = _forget(connection, "user_id", user_id) + _forget_turns(connection, user_id)
    return erased(connection, deleted)


def _forget(connection: sqlite3.Connection, column: str, value: str) -> Deleted:
    deleted = Deleted(0, 0)
    while True:
        bring_up_to_date(connection)
        with transaction(connection):
            traces = [
                trace
                for (trace,) in connection.execute(
                    f"SELECT DISTINCT trace_id FROM span WHERE {column} = ? LIMIT ?",
                    (value, _TRACES_PER_STEP),
                )
            ]
            if not traces:
                if column == "session_id":
                    evaluated.delete_of_session(connection, value)
                else:
                    evaluated.delete_of_user(connection, value)
                return deleted
            deleted += _delete_in(connection, traces, column, value)


def _delete_in(
    connection: sqlite3.Connection, traces: Sequence[bytes], column: str, value: str
) -> Deleted:
    """Delete the spans with this *value* in these traces, and those without any beside them."""
    sessions = evaluated.sessions_of(connection, traces)
    spans = 0
    for trace in traces:
        # Whoever only rates a turn has a span in its trace, and does not own the others.
        owns = (
            f"EXISTS (SELECT 1 FROM span WHERE trace_id = ? AND {column} = ? "
            "AND openinference_kind IS NOT 'EVALUATOR')"
        )
        beside = f"DELETE FROM span WHERE trace_id = ? AND {column} IS NULL AND {owns}"
        spans += connection.execute(beside, (trace, trace, value)).rowcount
        own = f"DELETE FROM span WHERE trace_id = ? AND {column} = ?"
        spans += connection.execute(own, (trace, value)).rowcount
    refresh(connection, traces)
    evaluated.delete_with(connection, traces, sessions)
    return Deleted(spans, len(traces))


def _forget_turns(connection: sqlite3.Connection, user_id: str) -> Deleted:
    """Delete the turns of a user whose spans have the id, but not in its column.

    Stores written by earlier versions have such spans, if the id is a pseudonym.
    """
    deleted, last = Deleted(0, 0), b""
    while True:
        bring_up_to_date(connection)
        with transaction(connection):
            traces = [
                trace
                for (trace,) in connection.execute(
                    "SELECT DISTINCT trace_id FROM turn WHERE user_id = ? AND trace_id > ? "
                    "ORDER BY trace_id LIMIT ?",
                    (user_id, last, _TRACES_PER_STEP),
                )
            ]
            if not traces:
                return deleted
            sessions = evaluated.sessions_of(connection, traces)
            ids = [it for trace in traces for it in _without_column(connection, trace, user_id)]
            connection.executemany("DELETE FROM span WHERE id = ?", ids)
            refresh(connection, traces)
            evaluated.delete_with(connection, traces, sessions)
        deleted, last = deleted + Deleted(len(ids), len(traces)), traces[-1]


def _without_column(
    connection: sqlite3.Connection, trace: bytes, user_id: str
) -> Iterator[tuple[int]]:
    """Yield the ids of spans whose column says no user, and that are of this one or of none."""
    query = "SELECT id FROM span WHERE trace_id = ? AND user_id IS NULL"
    for (number,) in connection.execute(query, (trace,)).fetchall():
        for _, record in spans_with_ids(connection, [number]):
            user = record.attributes.get("user.id", record.attributes.get("enduser.id"))
            if user is None or user == user_id:
                yield (number,)


def erased(connection: sqlite3.Connection, deleted: Deleted) -> Deleted:
    """Return *deleted*, nothing of which is left in the files: not in the index, nor in the log."""
    compact_index(connection)
    if not shrink(connection):
        raise StillReadError(deleted)
    return deleted


def compact_index(connection: sqlite3.Connection, until: float = float("inf")) -> None:
    """Take what was deleted out of the full-text index, which else keeps it for a while.

    It is done in small transactions, as for a large index it takes long.
    """
    pages = -_PAGES_PER_STEP  # A negative number begins to merge all parts of the index into one.
    while True:
        before = connection.total_changes
        with transaction(connection):
            connection.execute(
                "INSERT INTO turn_text (turn_text, rank) VALUES ('merge', ?)", (pages,)
            )
        # As documented: fewer than two changes mean that nothing was left to be done.
        if connection.total_changes - before < 2 or monotonic() > until:  # noqa: PLR2004
            return
        pages = _PAGES_PER_STEP


def shrink(connection: sqlite3.Connection) -> bool:
    """Give back to the file system what is free in the file, and what is in the log.

    Return whether the log is empty: while somebody reads what is in it, it cannot be emptied.
    """
    # It gives back a page in each step, and `execute` makes one only, as there are no columns.
    connection.executescript("PRAGMA incremental_vacuum")
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
