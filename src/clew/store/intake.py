"""Intake: puts the spans that a receiver has read into the store."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from clew.store.database import StoreError
from clew.store.file_writer import FileWriter
from clew.store.receiver import StoreUnavailableError
from clew.store.record import SpanRecord


class Intake:
    """Puts spans into the store, one request at a time. The file is made when the first arrive."""

    def __init__(self, path: Path) -> None:
        self._file = FileWriter(path)
        self._lock = Lock()
        self.received = 0
        """How many spans came in."""
        self.new = 0
        """How many of them were not in the store before."""

    def __call__(self, records: Sequence[SpanRecord]) -> None:
        """Store *records*; raise an error that has the sender try again if that fails."""
        with self._lock:
            try:
                self.new += self._file.add(records)
            except (sqlite3.Error, OSError, StoreError) as error:
                self._file.close()  # The next request finds a file that is mended, or another one.
                message = f"the store cannot take spans now: {error}"
                raise StoreUnavailableError(message) from error
            self.received += len(records)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
