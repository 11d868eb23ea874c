"""Intake: puts the spans that a receiver has read into the store."""

import sqlite3
from collections.abc import Callable, Sequence
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
        self.before_opening: Callable[[], None] = lambda: None
        """Has others in this process let go of what is not at the path; raises an error if not."""

    def __call__(self, records: Sequence[SpanRecord]) -> None:
        """Store *records*; raise an error that has the sender try again if that fails."""
        with self._lock:
            try:
                self._file.follow()
                if self._file.writer is None:
                    self.before_opening()
                self.new += self._file.add(records)
            except (sqlite3.Error, OSError, StoreError) as error:
                self._file.close()  # The next request finds a file that is mended, or another one.
                message = f"the store cannot take spans now: {error}"
                raise StoreUnavailableError(message) from error
            self.received += len(records)

    def follow(self) -> None:
        """Let go of a file that was replaced: whoever opens the new one takes its log otherwise."""
        with self._lock:
            self._file.follow()

    def received_till_now(self) -> int:
        """Return how many spans came in, before somebody opens the file for the sake of them."""
        self.follow()
        return self.received

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
