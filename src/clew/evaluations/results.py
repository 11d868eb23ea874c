"""Adds evaluations to the store, and reads those that count, or all that were ever made."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import TYPE_CHECKING, Any

from clew.evaluations import on_engines
from clew.evaluations.evaluation import Evaluation, check, metadata_json
from clew.sessions import carried, copies
from clew.sessions.store import SessionStore
from clew.store.database import connect, explained, transaction
from clew.store.encoding import is_utf8
from clew.store.fork_guard import no_fork

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

COLUMNS = (*carried.COLUMNS, "seen")
_IDS = ("trace_id", "root_id", "span_id")
# In a copy of an engine, the numbers are those of the time, whatever has been copied yet.
_INSERT = (
    f"INSERT INTO evaluation (id, {', '.join(COLUMNS)}) VALUES (CASE WHEN {copies.IS_COPY} "
    "THEN max(?, coalesce((SELECT max(id) FROM evaluation), 0) + 1) END, "
    f"{'?, ' * (len(COLUMNS) - 1)}coalesce(?, (SELECT max(id) FROM span), 0)) RETURNING id"
)
_SECONDS = 5.0
"""How long to wait for others who write to the store."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def add(store: "Conversations", *given: Evaluation) -> list[int]:
    """Add evaluations, all of them or none; return their numbers in the store.

    On an engine, they are added to clew's tables there: ``clew engines init`` makes them.

    Nothing is overwritten: of the same target, name and identifier the one that had seen most
    counts, of those the last one, and `history` returns them all. What they are about need not be
    in the store yet.

    >>> add(store, Evaluation("solved", score=1, session_id="chat-42"))  # doctest: +SKIP
    """
    rows = [_row(it) for it in given]  # Before others have to wait for this transaction.
    if not isinstance(store, SessionStore):
        return on_engines.add(store, [_engine_row(row) for row in rows])
    try:
        with (
            no_fork(),
            closing(connect(store.path, timeout=_SECONDS)) as added,
            transaction(added),
        ):
            return [_insert(added, row) for row in rows]
    except sqlite3.Error as error:
        raise explained(store.path, error) from error


def insert(connection: sqlite3.Connection, given: Evaluation) -> int:
    """Add an evaluation in the transaction of the caller; return its number in the store."""
    return _insert(connection, _row(given))


def _insert(connection: sqlite3.Connection, row: Sequence[Any]) -> int:
    given = (copies.number_of(time_ns()), *row)
    return int(connection.execute(_INSERT, given).fetchone()[0])


def current(
    store: "Conversations",
    *,
    session_id: str | None = None,
    name: str | None = None,
    since: datetime | None = None,
) -> list[Evaluation]:
    """Return the evaluations that count, in the order in which they were added.

    Args:
        store: Where they are.
        session_id: Only those of this session and its turns.
        name: Only those of this name.
        since: Only those that were made after that time.
    """
    return read_where(store, *_condition(session_id, name, since))


def history(
    store: "Conversations",
    *,
    session_id: str | None = None,
    name: str | None = None,
    since: datetime | None = None,
) -> list[Evaluation]:
    """Return all evaluations, with those that were replaced or withdrawn, as `current` does."""
    return read_where(store, *_condition(session_id, name, since), current_ones=False)


def read_where(
    store: "Conversations", condition: str, parameters: Sequence[Any], *, current_ones: bool = True
) -> list[Evaluation]:
    """Return the evaluations that meet a condition in SQL, in the order of their being added."""
    table = "current_evaluation" if current_ones else "evaluation"
    query = f"SELECT id, {', '.join(COLUMNS)} FROM {table} WHERE {condition} ORDER BY id"
    return [evaluation_of(row) for row in store.sql(query, parameters)]


def _condition(
    session_id: str | None, name: str | None, since: datetime | None
) -> tuple[str, list[Any]]:
    conditions: list[tuple[str, Any]] = []
    if session_id is not None:
        conditions.append(("session_id = ?", session_id))
    if name is not None:
        conditions.append(("name = ?", name))
    if since is not None:
        nanoseconds = (since.astimezone(UTC) - _EPOCH) // _MICROSECOND * 1000
        conditions.append(("made_ns >= ?", nanoseconds))
    condition = " AND ".join(text for text, _ in conditions) or "1"
    return condition, [value for _, value in conditions]


def evaluation_of(row: dict[str, Any]) -> Evaluation:
    """Return the evaluation that a row with its number and its `COLUMNS` is."""
    # Engines have ids in hexadecimal.
    ids = {it: bytes.fromhex(row[it]) for it in _IDS if isinstance(row[it], str)}
    return Evaluation(**{**row, **ids, "metadata": json.loads(row["metadata"])})


def row_on_engine(given: Evaluation) -> dict[str, Any]:
    """Return an evaluation as a row of an engine's table, without its number."""
    return _engine_row(_row(given))


def _engine_row(values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(COLUMNS, values, strict=True))
    return row | {it: row[it].hex() for it in _IDS if row[it] is not None}


def _row(it: Evaluation) -> Sequence[Any]:
    check(it)
    return (
        _storable(it.session_id),
        it.trace_id,
        it.root_id,
        it.span_id,
        _storable(it.name),
        _storable(it.annotator_kind),
        _storable(it.identifier),
        None if it.score is None else float(it.score),
        None if it.label is None else _storable(it.label),
        None if it.explanation is None else _storable(it.explanation),
        metadata_json(it.metadata),
        time_ns() if it.made_ns is None else it.made_ns,
        _storable(it.version),
        it.seen,
    )


def _storable(text: str) -> str:
    return text if is_utf8(text) else text.encode("utf-8", "replace").decode()
