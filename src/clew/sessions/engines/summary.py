"""Makes the rows of clew's tables from spans, as the SQLite store makes them: in one in memory.

So there is one definition of a turn, a session and a score, whichever engine the spans are in. It
needs nothing but the spans, and is run by the workers of a cluster, too.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from clew.sessions import scoring, summaries
from clew.sessions.engines.parts import SESSION, TRACE
from clew.sessions.engines.schema import TABLES
from clew.store.database import in_memory, transaction
from clew.store.record import SpanRecord
from clew.store.writer import Writer

if TYPE_CHECKING:
    from clew.sessions.model import Turn

Rows = dict[str, list[dict[str, Any]]]
RULES = summaries.RULES * 1000 + scoring.SIGNALS
"""The release of the rules by which summaries are made. All are made anew after it has changed."""
_IDS = ("trace_id", "root_id", "span_id")
_BATCH = frozenset({"part", "batch"})
_SOURCES = {
    "clew_turn": "(SELECT turn.*, friction, failure, coalesce(findings, '[]') AS findings, "
    "'' AS words FROM turn LEFT JOIN turn_score USING (session_id, trace_id, root_id))",
    "clew_session": "session",
    "clew_session_value": "session_value",
    "clew_user_session": "user_session",
    "clew_carried": "evaluation",
}
_HAVING_TRACES = ("clew_turn", "clew_carried")
"""Tables with rows outside of any session."""
_LAST_SPAN = """
UPDATE session SET last_span = (
    SELECT count(*) FROM span WHERE openinference_kind IS NOT 'EVALUATOR'
    AND trace_id IN (SELECT trace_id FROM turn WHERE turn.session_id = session.session_id)
)
"""
# Of one that came too late to count, it is 0.
_SEEN = """
UPDATE evaluation SET seen = (
    SELECT count(*) FROM span
    WHERE openinference_kind IS NOT 'EVALUATOR' AND end_ns <= evaluation.made_ns AND trace_id IN (
        SELECT trace_id FROM turn WHERE turn.session_id = evaluation.session_id
    )
) WHERE trace_id IS NULL AND seen > 0
"""
# Of what is about a turn, a trace or a span, those in turns of the trace count.
_SEEN_OF_TRACE = """
UPDATE evaluation SET seen = min(
    (
        SELECT count(*) FROM span
        WHERE span.trace_id = evaluation.trace_id AND end_ns <= evaluation.made_ns
            AND openinference_kind IS NOT 'EVALUATOR'
    ),
    (
        SELECT coalesce(sum(spans), 0) FROM turn
        WHERE turn.session_id = evaluation.session_id AND turn.trace_id = evaluation.trace_id
    )
) WHERE trace_id IS NOT NULL AND seen > 0
"""


_SAID_IN_TRACE = "session_id = '' AND substr(carrier, 1, 16) = ?"


def summarise(parts: Collection[str], spans: Sequence[SpanRecord]) -> dict[str, Rows]:
    """Return the rows of each of these *parts* by their table, given all spans of their traces."""
    with closing(in_memory()) as connection:
        Writer(connection).add(spans)
        turns: dict[bytes, Sequence[Turn]] = {}
        with transaction(connection):
            summaries.refresh(connection, dict.fromkeys(it.trace_id for it in spans), turns)
        scoring.score_all(connection, known=turns)
        # What was stored last is not known on an engine, but spans are only added.
        connection.execute(_LAST_SPAN)
        connection.execute(_SEEN)
        connection.execute(_SEEN_OF_TRACE)
        words = _words(connection)
        return {part: _rows(connection, part, words) for part in parts}


def _rows(connection: sqlite3.Connection, part: str, words: Mapping[int, str]) -> Rows:
    if part.startswith(SESSION):
        condition, value = "session_id = ?", part.removeprefix(SESSION)
        tables = tuple(_SOURCES)
    else:
        condition = "session_id = '' AND trace_id = ?"
        value = bytes.fromhex(part.removeprefix(TRACE))  # type: ignore[assignment]
        tables = _HAVING_TRACES
    found: Rows = {}
    for table in tables:
        if table == "clew_carried" and not part.startswith(SESSION):
            condition = _SAID_IN_TRACE  # Of whichever trace.
        rows = list(_selected(connection, table, condition, value))
        if table == "clew_turn":
            for row in rows:
                row["words"] = words.get(row.pop("id"), "")
        if rows:
            found[table] = rows
    return found


def _selected(
    connection: sqlite3.Connection, table: str, condition: str, value: Any
) -> Iterator[dict[str, Any]]:
    names = [it.name for it in TABLES[table] if it.name not in _BATCH]
    chosen = [
        f"nullif(lower(hex({name})), '') AS {name}" if name in _IDS else name for name in names
    ]
    if table == "clew_turn":
        chosen.append("id")
    query = f"SELECT {', '.join(chosen)} FROM {_SOURCES[table]} WHERE {condition}"
    cursor = connection.execute(query, (value,))
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _words(connection: sqlite3.Connection) -> dict[int, str]:
    """Return the words of each turn as SQLite's index has them, by its number, to search in."""
    connection.execute("CREATE VIRTUAL TABLE temp.word USING fts5vocab(main, turn_text, instance)")
    found: dict[int, list[str]] = {}
    last: tuple[int, str] | None = None
    for doc, column, term in connection.execute(
        "SELECT doc, col, term FROM word ORDER BY doc, col, offset"
    ):
        if (doc, column) != last and last is not None and last[0] == doc:
            found[doc].append("\n")  # Nobody says a word that goes from the question to the answer.
        last = doc, column
        found.setdefault(doc, []).append(term)
    return {doc: f" {' '.join(terms)} " for doc, terms in found.items()}


def words_of(text: str) -> list[str]:
    """Return the words of *text* as SQLite's index divides and folds them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE said USING fts5 (text, tokenize='unicode61 remove_diacritics 2')"
        )
        connection.execute("INSERT INTO said VALUES (?)", (text,))
        connection.execute("CREATE VIRTUAL TABLE temp.word USING fts5vocab(main, said, instance)")
        return [term for (term,) in connection.execute("SELECT term FROM word ORDER BY offset")]
