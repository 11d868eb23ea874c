"""FileWriter: writes spans to the file of a store, wherever the process and the file have gone."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from clew.store import moved
from clew.store.database import StoreError, connect
from clew.store.location import file_identity
from clew.store.record import SpanRecord
from clew.store.writer import Writer

_of_parents: list[Writer] = []
"""Writers that were open when this process was forked. SQLite forbids even to close their files."""


class FileWriter:
    """Opens the file when the first spans come, and again after a fork or if it was replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Writer | None = None
        self._opened_by = 0
        self._file: tuple[int, int] | None = None
        self._index: tuple[int, int] | None = None
        self._was_replaced = False

    def add(self, records: Sequence[SpanRecord], *, timeout: float = 5.0) -> int:
        """Write *records* and commit them; return how many of them are new.

        The *timeout* is how long to wait for others that write, in seconds. It counts from when
        the file is opened.
        """
        try:
            number = self._open(timeout).add(records)
        except (sqlite3.Error, StoreError) as error:
            if not self._was_replaced or "I/O error" not in str(error):
                raise
            # What has opened the new file in this process before has the log that was removed.
            self.close()
            message = (
                f"{self.path} was replaced while it was open, and is still open in this process; "
                "close it there, or start the program again"
            )
            raise StoreError(message) from error
        self._was_replaced = False
        return number

    @property
    def writer(self) -> Writer | None:
        """What writes to the file that this process has open; None if it has none."""
        return self._writer if self._opened_by == os.getpid() else None

    def close(self) -> None:
        """Close the file. It is opened again if there are spans after all."""
        if self._writer is not None and self._opened_by == os.getpid():
            self._writer.connection.close()
        self._writer = None

    def follow(self) -> None:
        """Leave a file that is no longer at the path, before anybody opens what is there now."""
        if self._writer is not None and self._opened_by != os.getpid():
            _of_parents.append(self._writer)
            self._writer = None
        if self._writer is not None and file_identity(self.path) != self._file:
            moved.leave(self._writer.connection, self.path, self._index)
            self.close()
            self._was_replaced = True

    def _open(self, timeout: float) -> Writer:
        self.follow()
        if self._writer is None:
            self._writer = Writer(connect(self.path, create=True, timeout=timeout))
            self._opened_by, self._file = os.getpid(), file_identity(self.path)
            self._index = file_identity(moved.index_of(self.path))
        return self._writer
