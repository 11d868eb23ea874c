"""Compresses what spans were recorded with, some time after they were written.

Whoever ends a span must not wait for it, so they are written as they are. In a few moments they
are read, for the summaries, and from then on only one conversation at a time.
"""

import sqlite3
from time import monotonic

from clew.store.database import transaction
from clew.store.encoding import pack

_SPANS_PER_STEP = 256
"""How many spans are handled in one transaction, for which other writers have to wait."""
_TEXTS = ("attributes", "details")


def compact(connection: sqlite3.Connection, seconds: float = float("inf")) -> bool:
    """Compress the spans that are summarised; return whether it was done in so many *seconds*.

    Each is written anew: a row that only gets shorter would leave its page half empty.
    """
    until = monotonic() + seconds
    while _next(connection, 1):
        with transaction(connection):
            rows = _next(connection, _SPANS_PER_STEP)
            if not rows:
                break
            packed = [row for row in rows if _pack(row)]
            connection.executemany("DELETE FROM span WHERE id = :id", packed)
            if packed:
                names = tuple(packed[0])
                connection.executemany(
                    f"INSERT INTO span ({', '.join(names)}) VALUES (:{', :'.join(names)})",
                    packed,
                )
            connection.execute("UPDATE progress SET value = :id WHERE name = 'compacted'", rows[-1])
        if monotonic() > until:
            return not _next(connection, 1)
    return True


def _next(connection: sqlite3.Connection, limit: int) -> list[dict[str, object]]:
    """Return the next spans that were not looked at yet."""
    cursor = connection.execute(
        "SELECT * FROM span WHERE id > (SELECT value FROM progress WHERE name = 'compacted') "
        "AND id <= (SELECT value FROM progress WHERE name = 'summarised') ORDER BY id LIMIT ?",
        (limit,),
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _pack(row: dict[str, object]) -> bool:
    """Compress the texts of *row*; return whether it has changed."""
    before = [row[name] for name in _TEXTS]
    for name in _TEXTS:
        if isinstance(text := row[name], str):
            row[name] = pack(text)
    return [row[name] for name in _TEXTS] != before
