"""Keeps evaluations with what they are about: they follow their turn, and are deleted with it."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from clew.sessions.carried import delete_carriers
from clew.store.record import SpanRecord

_Turn = tuple[str, bytes]
"""A turn of a trace: its session, and its root."""


def follow(
    connection: sqlite3.Connection,
    trace: bytes,
    spans: Sequence[SpanRecord],
    turns: Collection[_Turn],
) -> None:
    """Give evaluations of turns that are no longer there to the *turns* that contain them now.

    The span that contains a whole turn is often stored last, and so may be its session.
    """
    query = (
        "SELECT DISTINCT session_id, root_id FROM evaluation "
        "WHERE trace_id = ? AND root_id IS NOT NULL"
    )
    lost = set(connection.execute(query, (trace,))) - set(turns)
    parents = {span.span_id: span.parent_id for span in spans} if lost else {}
    for session, root in lost:
        if (turn := _around(root, session, turns, parents)) is not None:
            connection.execute(
                "UPDATE evaluation SET session_id = ?, root_id = ? "
                "WHERE session_id = ? AND trace_id = ? AND root_id = ?",
                (*turn, session, trace, root),
            )
            connection.execute(
                "DELETE FROM evaluation_error "
                "WHERE session_id = ? AND trace_id = ? AND root_id = ?",
                (session, trace, root),
            )


def _around(
    span: bytes, session: str, turns: Iterable[_Turn], parents: dict[bytes, bytes | None]
) -> _Turn | None:
    """Return the turn that *span* is in, if possible one of the same session."""
    by_root: dict[bytes, list[str]] = {}
    for of, root in turns:
        by_root.setdefault(root, []).append(of)
    seen, current = set[bytes](), span if span in parents else None
    while current is not None and current not in seen:
        if current in by_root:
            found = by_root[current]
            return (session if session in found else found[0], current)
        seen.add(current)
        current = parents.get(current)
    return None


def sessions_of(connection: sqlite3.Connection, traces: Iterable[bytes]) -> set[str]:
    """Return the sessions that have turns in these traces."""
    query = "SELECT DISTINCT session_id FROM turn WHERE trace_id = ?"
    return {row[0] for trace in traces for row in connection.execute(query, (trace,))}


def delete_of_session(connection: sqlite3.Connection, session_id: str) -> int:
    """Delete what was said about a session and its turns; return how many evaluations that were."""
    delete_carriers(connection, "session_id = ?", (session_id,))
    cursor = connection.execute("DELETE FROM evaluation WHERE session_id = ?", (session_id,))
    _delete_errors(connection, session_id)
    return cursor.rowcount


def _delete_errors(connection: sqlite3.Connection, session_id: str) -> None:
    for table in ("evaluation_error", "evaluation_claim"):
        connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (session_id,))


def _outdate(connection: sqlite3.Connection, condition: str, value: str | bytes) -> None:
    """Let evaluators look again at what they have judged: a part of what they saw is gone."""
    connection.execute(
        f"UPDATE evaluation SET seen = 0 WHERE {condition} AND annotator_kind <> 'HUMAN'", (value,)
    )


def delete_with(
    connection: sqlite3.Connection, traces: Iterable[bytes], sessions: Iterable[str]
) -> None:
    """Delete evaluations whose target was deleted from these traces, or with these sessions."""
    for trace in traces:
        gone = (
            "trace_id = ? AND CASE "
            "WHEN span_id IS NOT NULL THEN NOT EXISTS (SELECT 1 FROM span WHERE "
            "span.trace_id = evaluation.trace_id AND span.span_id = evaluation.span_id) "
            "WHEN root_id IS NOT NULL THEN NOT EXISTS (SELECT 1 FROM span WHERE "
            "span.trace_id = evaluation.trace_id AND span.span_id = evaluation.root_id) "
            "ELSE NOT EXISTS (SELECT 1 FROM span WHERE span.trace_id = evaluation.trace_id) END"
        )
        delete_carriers(connection, gone, (trace,))
        connection.execute(f"DELETE FROM evaluation WHERE {gone}", (trace,))
        _outdate(connection, "trace_id = ?", trace)
    for session in filter(None, sessions):
        _delete_errors(connection, session)
        _outdate(connection, "session_id = ? AND trace_id IS NULL", session)
        gone = (
            "session_id = ? AND NOT EXISTS (SELECT 1 FROM span "
            "WHERE span.session_id = evaluation.session_id "
            "AND openinference_kind IS NOT 'EVALUATOR')"
        )
        delete_carriers(connection, gone, (session,))
        connection.execute(f"DELETE FROM evaluation WHERE {gone}", (session,))


def delete_without_target(connection: sqlite3.Connection, until_ns: int, limit: int = 1000) -> int:
    """Delete evaluations made until then of what is not in the store; return how many there were.

    They were made before their spans came, which then never did: of a session that was not
    sampled, for example.
    """
    cursor = connection.execute(
        "DELETE FROM evaluation WHERE id IN (SELECT id FROM evaluation AS made "
        "WHERE made_ns <= ? AND NOT EXISTS (SELECT 1 FROM span "
        "WHERE span.session_id = made.session_id) AND NOT EXISTS (SELECT 1 FROM span "
        "WHERE span.trace_id = made.trace_id) ORDER BY made_ns LIMIT ?)",
        (until_ns, limit),
    )
    return cursor.rowcount


def delete_of_user(connection: sqlite3.Connection, user_id: str) -> int:
    """Delete what a user has said about conversations; return how many evaluations that were."""
    # The second condition is that of the index.
    by_user = "annotator_kind = 'HUMAN' AND identifier = ? AND identifier <> ''"
    delete_carriers(connection, by_user, (user_id,))
    return connection.execute(f"DELETE FROM evaluation WHERE {by_user}", (user_id,)).rowcount
