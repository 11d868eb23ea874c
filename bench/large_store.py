"""Makes a large store for benchmarks: some sessions are written, then copied again and again.

Writing and summarising millions of spans would take hours. So the first sessions go through the
writer and the summaries, as those of an application do, and SQLite copies their rows, in all
tables, under other ids and at later times. `check` makes the summaries of some copies anew from
their spans and sees that nothing about them changes.

A word of its own in each block of copies is what a search for something rare finds.
"""

import sqlite3
from pathlib import Path
from random import Random

from clew.sessions.summaries import bring_up_to_date, refresh
from clew.store.database import connect, transaction
from clew.store.encoding import pack
from clew.store.writer import Writer
from tests.support.conversations import Conversations

BASE = 1000
"""How many sessions are written before they are copied."""
_DERIVED = ("turn", "session", "session_value", "user_session")
_TIMES = frozenset({"start_ns", "end_ns", "first_ns", "last_ns"})
_SECOND = 10**9


def make(path: Path, sessions: int) -> int:
    """Make a store of so many *sessions* of about 50 spans each; return its number of spans."""
    connection = connect(path, create=True)
    # What is lost if the machine stops is made again.
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    base = min(sessions, BASE)
    _write(connection, base)
    period = _period(connection)
    _keep_originals(connection)
    connection.create_function("other_id", 2, _other_id, deterministic=True)
    for copy in range(1, sessions // base):
        with transaction(connection):
            for table in ("span", *_DERIVED):
                _copy(connection, table, copy, copy * period)
            connection.execute(
                "UPDATE turn SET input = input || ' rareword' || ? "
                "WHERE id = (SELECT max(id) FROM turn)",
                (copy,),
            )
    with transaction(connection):
        connection.execute("INSERT INTO turn_text (turn_text) VALUES ('rebuild')")
        connection.execute(
            "UPDATE progress SET value = (SELECT max(id) FROM span) "
            "WHERE name IN ('summarised', 'compacted')"
        )
        connection.execute(
            "UPDATE session SET last_span = (SELECT max(span.id) FROM turn JOIN span "
            "USING (trace_id) WHERE turn.session_id = session.session_id)"
        )
    connection.execute("PRAGMA optimize")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (spans,) = connection.execute("SELECT count(*) FROM span").fetchone()
    connection.close()
    return int(spans)


def check(path: Path, number: int = 20) -> None:
    """Raise an error if the summaries of some sessions are not what their spans say."""
    connection = connect(path)
    found = connection.execute("SELECT session_id FROM session").fetchall()
    chosen = [session for (session,) in Random(1).sample(found, min(number, len(found)))]
    connection.execute("BEGIN IMMEDIATE")
    for session in chosen:
        before = _summaries(connection, session)
        traces = connection.execute(
            "SELECT DISTINCT trace_id FROM turn WHERE session_id = ? "
            "AND input NOT LIKE '%rareword%'",
            (session,),
        ).fetchall()
        refresh(connection, [trace for (trace,) in traces])
        if not traces or _summaries(connection, session) != before:
            message = f"the summary of {session!r} is not that of its spans"
            raise AssertionError(message)
    connection.execute("ROLLBACK")
    connection.close()


def _write(connection: sqlite3.Connection, sessions: int) -> None:
    writer = Writer(connection)
    made = Conversations(length=5, window=8).sessions(sessions)
    for session in made:
        writer.add(session)
    connection.create_function("packed", 1, pack, deterministic=True)
    connection.execute("UPDATE span SET attributes = packed(attributes)")
    bring_up_to_date(connection)


def _period(connection: sqlite3.Connection) -> int:
    """Return how much later each copy begins than the one before it."""
    first, last = connection.execute("SELECT min(first_ns), max(first_ns) FROM session").fetchone()
    return int(last - first) + _SECOND


def _keep_originals(connection: sqlite3.Connection) -> None:
    for table in ("span", *_DERIVED):
        connection.execute(f"CREATE TEMP TABLE original_{table} AS SELECT * FROM main.{table}")


def _copy(connection: sqlite3.Connection, table: str, copy: int, later: int) -> None:
    """Append a copy of the sessions that were written to *table*."""
    columns = connection.execute(f"PRAGMA main.table_info({table})")
    names = [name for _, name, *_ in columns if name != "id"]
    values = [_copied(name, copy, later) for name in names]
    connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM original_{table}"
    )


def _copied(name: str, copy: int, later: int) -> str:
    if name == "trace_id":
        return f"other_id(trace_id, {copy})"
    if name == "session_id":
        return f"session_id || '/{copy}'"
    return f"{name} + {later}" if name in _TIMES else name


def _other_id(trace_id: bytes, copy: int) -> bytes:
    return trace_id[:12] + copy.to_bytes(4, "big")


def _summaries(connection: sqlite3.Connection, session: str) -> list[list[tuple[object, ...]]]:
    return [
        sorted(
            connection.execute(f"SELECT * FROM {table} WHERE session_id = ?", (session,)), key=repr
        )
        for table in _DERIVED
    ]
