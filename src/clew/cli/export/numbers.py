"""The numbers of spans and evaluations, which a store that was restored from a copy gives anew."""

import sqlite3

from clew.evaluations.stored import FIRST

_CONTENT = {
    "span": "SELECT hex(trace_id || span_id) FROM span WHERE id = ?",
    "evaluation": "SELECT made_ns || ' ' || name FROM evaluation WHERE id = ?",
}


def content_of(store: sqlite3.Connection, number: int) -> str | None:
    """Return what tells the one with this *number* from others; None if it was deleted."""
    table, row_id = _place(number)
    row = store.execute(_CONTENT[table], (row_id,)).fetchone()
    return str(row[0]) if row else None


def is_given(store: sqlite3.Connection, number: int) -> bool:
    """Whether the store has given this *number*, be it to one that is deleted by now."""
    table, row_id = _place(number)
    query = "SELECT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ? AND seq >= ?)"
    return bool(store.execute(query, (table, row_id)).fetchone()[0])


def _place(number: int) -> tuple[str, int]:
    return ("span", number) if number < FIRST else ("evaluation", number - FIRST)
