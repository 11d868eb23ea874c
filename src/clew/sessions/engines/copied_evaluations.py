"""Exchanges evaluations between clew's tables on an engine and a copy of its spans.

In the copy, the column `carrier` of one that is on the engine begins with `KEPT`, and of one that
is on its way there with `LEAVING`; then follows its number, and how far it had seen. How far is
here the number of a span, and there how many spans that are. Its number is that of the engine, so
that what was said last counts in both.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from clew.sessions.carried import COLUMNS
from clew.sessions.copies import KEPT, LEAVING, NUMBER_BYTES, Spans
from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine
from clew.sessions.engines.evaluation_rows import TABLE, new_numbers
from clew.sessions.summaries import bring_up_to_date
from clew.store.database import explained, transaction

_PER_QUERY = 500
_PATIENCE = 30.0
"""Seconds that one who wants to exchange them waits for another."""
_IDS = ("trace_id", "root_id", "span_id")
_ALL = (*COLUMNS, "seen")
_ARE_LEAVING = "substr(carrier, 1, 16) = ?"


@contextmanager
def exchanging(path: Path) -> Iterator[None]:
    """Keep other threads and processes from exchanging those of the copy at *path* meanwhile.

    Two that do so at once would both send what neither finds on the engine.
    """
    lock = f"{path}-exchange"
    try:
        # SQLite's own lock: every system has it, and it ends with the process.
        with closing(sqlite3.connect(lock, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
    except sqlite3.OperationalError as error:
        raise explained(path, error) from error


def has_unsent(connection: sqlite3.Connection) -> bool:
    """Whether something was said in the copy that is not on the engine yet."""
    query = f"SELECT EXISTS (SELECT 1 FROM evaluation WHERE carrier IS NULL OR {_ARE_LEAVING})"
    return bool(connection.execute(query, (LEAVING,)).fetchone()[0])


def send(connection: sqlite3.Connection, tables: Engine) -> int:
    """Add what was said in the copy to clew's tables on the engine, once; return how much."""
    bring_up_to_date(connection)
    with transaction(connection):
        new = connection.execute("SELECT id FROM evaluation WHERE carrier IS NULL ORDER BY id")
        ids = [number for (number,) in new]
        connection.executemany(
            "UPDATE evaluation SET carrier = ? WHERE id = ?",
            [
                (LEAVING + _bytes(it), own)
                for it, own in zip(new_numbers(len(ids)), ids, strict=True)
            ],
        )
    # Whoever is killed after this line begins here the next time.
    query = (
        f"SELECT id, carrier, {', '.join(_ALL)} FROM evaluation WHERE {_ARE_LEAVING} ORDER BY id"
    )
    leaving = connection.execute(query, (LEAVING,)).fetchall()
    for start in range(0, len(leaving), _PER_QUERY):
        _send(connection, tables, leaving[start : start + _PER_QUERY])
    return len(leaving)


def _send(connection: sqlite3.Connection, tables: Engine, leaving: Sequence[Any]) -> None:
    numbers = [_number(carrier) for _, carrier, *_ in leaving]
    marks = ", ".join("?" * len(numbers))
    query = f"SELECT id FROM {TABLE} WHERE id IN ({marks})"
    there = {it for (it,) in rows(tables, query, numbers)}
    sessions = sorted({dict(zip(_ALL, said, strict=True))["session_id"] for _, _, *said in leaving})
    of_sessions = ", ".join("?" * len(sessions))
    query = f"SELECT session_id, last_span FROM session WHERE session_id IN ({of_sessions})"
    last_spans: dict[str, int] = dict(rows(tables, query, sessions))
    added, known = [], []
    for number, (own, _, *said) in zip(numbers, leaving, strict=True):
        row = dict(zip(_ALL, said, strict=True))
        spans = Spans.of(connection, row["session_id"], row["trace_id"])
        row["seen"] = spans.number_up_to(row["seen"], last_spans.get(row["session_id"], 0))
        kept = KEPT + _bytes(number) + _bytes(row["seen"])
        # From now on it is as those that come from there, in the same order.
        known.append((number, spans.last_of(row["seen"]), kept, own))
        if number not in there:
            ids = {it: row[it].hex() for it in _IDS if row[it] is not None}
            added.append({**row, **ids, "id": number})
    if added:
        tables.insert(TABLE, added)
    with transaction(connection):
        update = "UPDATE evaluation SET id = ?, seen = ?, carrier = ? WHERE id = ?"
        connection.executemany(update, known)


def receive(connection: sqlite3.Connection, tables: Engine) -> None:
    """Make the evaluations of the copy those that clew's tables have of its sessions."""
    bring_up_to_date(connection)
    there: dict[bytes, tuple[str, str | None]] = {
        KEPT + _bytes(number) + _bytes(seen): (session, trace)
        for number, seen, session, trace in rows(
            tables, f"SELECT id, seen, session_id, trace_id FROM {TABLE}"
        )
    }
    query = f"SELECT carrier FROM evaluation WHERE {_ARE_LEAVING}"
    here = {carrier for (carrier,) in connection.execute(query, (KEPT,))}
    sessions = {it for (it,) in connection.execute("SELECT session_id FROM session")}
    traces = {it.hex() for (it,) in connection.execute("SELECT DISTINCT trace_id FROM span")}
    wanted = {
        carrier: session
        for carrier, (session, trace) in there.items()
        if session in sessions or (not session and trace in traces)
    }
    with transaction(connection):
        connection.executemany(
            "DELETE FROM evaluation WHERE carrier = ?", [(it,) for it in here - wanted.keys()]
        )
    missing = wanted.keys() - here
    of_sessions = sorted({wanted[it] for it in missing})
    for start in range(0, len(of_sessions), _PER_QUERY):
        some = of_sessions[start : start + _PER_QUERY]
        query = (
            f"SELECT id, {', '.join(_ALL)} FROM {TABLE} "
            f"WHERE session_id IN ({', '.join('?' * len(some))}) ORDER BY id"
        )
        _add(connection, missing, rows(tables, query, some))


def _add(
    connection: sqlite3.Connection, missing: "Iterable[bytes]", found: Iterable[Sequence[Any]]
) -> None:
    wanted = set(missing)
    insert = (
        f"INSERT INTO evaluation ({', '.join(_ALL)}, id, carrier) "
        f"VALUES ({', '.join('?' * (len(_ALL) + 2))}) ON CONFLICT DO NOTHING"
    )
    with transaction(connection):
        for number, *said in found:
            row = dict(zip(_ALL, said, strict=True))
            carrier = KEPT + _bytes(number) + _bytes(row["seen"])
            if carrier in wanted:
                row |= {it: bytes.fromhex(row[it]) for it in _IDS if row[it] is not None}
                spans = Spans.of(connection, row["session_id"], row["trace_id"])
                row["seen"] = spans.last_of(row["seen"])
                connection.execute(insert, (*row.values(), number, carrier))


def _bytes(number: int) -> bytes:
    return number.to_bytes(NUMBER_BYTES)


def _number(carrier: bytes) -> int:
    return int.from_bytes(carrier[len(LEAVING) : len(LEAVING) + NUMBER_BYTES])
