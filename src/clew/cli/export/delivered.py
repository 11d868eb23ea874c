"""Delivered: which spans a target has been given, kept in a file beside the store.

So an export that was interrupted goes on where it stopped, and one that is repeated sends only what
is new, whichever sessions each of them chose.

Spans are noted by their numbers in the store, which a store that is restored from a copy gives to
other spans. So of the last span, and of the last evaluation, it is noted what they were.
"""

import os
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import Self

from clew.cli.export.errors import ExportError
from clew.cli.export.numbers import content_of, is_given
from clew.evaluations.stored import FIRST
from clew.store.database import transaction

_FORM = """
CREATE TABLE IF NOT EXISTS target (
    id INTEGER PRIMARY KEY,
    store INTEGER NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    next_size INTEGER NOT NULL DEFAULT 0,
    UNIQUE (store, name)
);
CREATE TABLE IF NOT EXISTS announced (
    target INTEGER NOT NULL,
    file TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS delivered (
    target INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (target, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_one (
    target INTEGER NOT NULL,
    id INTEGER NOT NULL,
    content TEXT,
    PRIMARY KEY (target, id)
) WITHOUT ROWID;
"""
# The first and the last id of spans that were delivered, each without a gap between them; the same
# of those that are in a file, as soon as that is there; and what the last of them are in the store.
_LAST = """
SELECT last, content FROM (
    SELECT max(last) AS last FROM delivered WHERE target = :target AND first < :first
    UNION ALL SELECT max(last) FROM delivered WHERE target = :target AND first >= :first
)
LEFT JOIN last_one ON target = :target AND id = last WHERE last IS NOT NULL
"""


class Delivered:
    """What one target has been given from one store. One export at a time uses the file."""

    def __init__(self, path: Path, store: sqlite3.Connection, name: str) -> None:
        """Open the file at *path*, made if it is missing, for the target of this *name*."""
        try:
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._spans = store
            self.store = _identity(store)
            with transaction(self._connection):
                for statement in _FORM.split(";\n"):
                    self._connection.execute(statement)
                self._target, self.size, self.next_size = self._row(self.store, name)
                self.is_of_later_store = any(starmap(self._is_other, self._last()))
                """Whether the store was restored from a copy that is older than what is noted."""
        except (sqlite3.Error, OSError) as error:
            raise ExportError(_explained(path, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def missing(self, ids: "array[int]") -> "array[int]":
        """Return those of *ids*, which ascend, that were not delivered."""
        found = array("q")
        ranges = self._connection.execute(
            "SELECT first, last FROM delivered WHERE target = ? ORDER BY first", (self._target,)
        )
        first, last = next(ranges, (None, None))
        for number in ids:
            while last is not None and last < number:
                first, last = next(ranges, (None, None))
            if first is None or number < first:
                found.append(number)
        return found

    def add(self, ids: Sequence[int], size: int = 0) -> None:
        """Note that these spans were delivered; of a file, the *size* that it has with them."""
        with transaction(self._connection):
            for first, last in _ranges(ids):
                self._add(first, last)
            self._note_last()
            self._set_sizes(size, size)

    def announce(self, size: int) -> None:
        """Note that a file will have this *size* after what is written next."""
        with transaction(self._connection):
            self._set_sizes(self.size, size)

    def announce_file(self, file: str, ids: Sequence[int]) -> None:
        """Note that these spans are delivered once there is a *file* of this name."""
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO announced VALUES (?, ?, ?, ?)",
                ((self._target, file, first, last) for first, last in _ranges(ids)),
            )

    def settle(self, exists: Callable[[str], bool]) -> None:
        """Note as delivered what is in those announced files that exist, and forget the others."""
        query = "SELECT file, first, last FROM announced WHERE target = ? ORDER BY first"
        with transaction(self._connection):
            for file, first, last in self._connection.execute(query, (self._target,)).fetchall():
                if exists(file):
                    self._add(first, last)
            self._note_last()
            self._connection.execute("DELETE FROM announced WHERE target = ?", (self._target,))

    def any(self) -> bool:
        """Whether anything was delivered."""
        query = "SELECT EXISTS (SELECT 1 FROM delivered WHERE target = ?)"
        return bool(self._connection.execute(query, (self._target,)).fetchone()[0])

    def forget(self) -> None:
        """Forget all that was delivered: the target, or the store, is no longer what it was."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM delivered WHERE target = ?", (self._target,))
            self._note_last()
            self._set_sizes(0, 0)
        self.is_of_later_store = False

    def refuse_later_store(self, place: Path) -> None:
        """Raise an error if what is at *place* is of the store as it no longer is."""
        if self.is_of_later_store:
            message = (
                f"{place} has spans that the store no longer has: it was restored from a copy. "
                "It is left as it is; name another one"
            )
            raise ExportError(message)

    def _last(self) -> list[tuple[int, str | None]]:
        """Return the number of the last span and evaluation, with what they were if it is known."""
        return self._connection.execute(_LAST, {"target": self._target, "first": FIRST}).fetchall()

    def _is_other(self, number: int, known: str | None) -> bool:
        found = content_of(self._spans, number)
        if found is None or known is None:
            return not is_given(self._spans, number)
        return found != known

    def _note_last(self) -> None:
        last = [
            (self._target, number, content_of(self._spans, number) or known)
            for number, known in self._last()
        ]
        self._connection.execute("DELETE FROM last_one WHERE target = ?", (self._target,))
        self._connection.executemany("INSERT INTO last_one VALUES (?, ?, ?)", last)

    def _set_sizes(self, size: int, next_size: int) -> None:
        self._connection.execute(
            "UPDATE target SET size = ?, next_size = ? WHERE id = ?",
            (size, next_size, self._target),
        )
        self.size, self.next_size = size, next_size

    def _row(self, store: int, name: str) -> tuple[int, int, int]:
        insert = "INSERT OR IGNORE INTO target (store, name) VALUES (?, ?)"
        self._connection.execute(insert, (store, name))
        query = "SELECT id, size, next_size FROM target WHERE store = ? AND name = ?"
        row: tuple[int, int, int] = self._connection.execute(query, (store, name)).fetchone()
        return row

    def _add(self, first: int, last: int) -> None:
        """Add a range, as a part of the one before it where they touch."""
        before = self._connection.execute(
            "UPDATE delivered SET last = ? WHERE target = ? AND last = ? AND first = "
            "(SELECT max(first) FROM delivered WHERE target = ? AND first <= ?)",
            (last, self._target, first - 1, self._target, first),
        ).rowcount
        if not before:
            self._connection.execute(
                "INSERT INTO delivered VALUES (?, ?, ?)", (self._target, first, last)
            )


def _ranges(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in ids:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _identity(store: sqlite3.Connection) -> int:
    """Return what tells this store from another one that was made at the same place."""
    row = store.execute("SELECT value FROM progress WHERE name = 'identity'").fetchone()
    return int(row[0]) if row else 0


def _explained(path: Path, error: Exception) -> str:
    if "locked" in str(error):
        return f"another export is using {path}; wait for it, or name another file with --state"
    if "not a database" in str(error) or "no such column" in str(error):
        return f"{path} is no state of an export; name another file with --state"
    return f"the state of the export cannot be kept in {path}: {error}"
