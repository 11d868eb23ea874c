"""Maintenance: what is done in a store after spans were written to it."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic

from clew.sessions.retention import keep_within
from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import StoreError, connect, file_size
from clew.store.fork_guard import no_fork
from clew.store.limits import max_bytes, oldest_ns

_SECONDS_BETWEEN_CLEANUPS = 60.0
"""Between two looks for what is too old. What is too much is deleted whenever it is."""
_KEPT = 0.9
"""The share of the limit that is left of a store: else each span would cost a deletion."""
_SECONDS = 0.2


class Maintenance:
    """Summarises new spans, compresses them, and deletes the oldest sessions beyond the limits."""

    def __init__(self) -> None:
        self._next_by_age = 0.0

    def run(self, connection: sqlite3.Connection, seconds: float) -> bool:
        """Do what is due; spend about so many *seconds* on each of the three.

        Return whether all is done. What is left is done the next time, and readers bring the
        summaries up to date themselves.
        """
        begun = monotonic()
        if not bring_up_to_date(connection, seconds):
            return False
        is_compact = compact(connection, seconds)
        oldest = oldest_ns() if monotonic() >= self._next_by_age else None
        most = max_bytes()
        is_too_great = file_size(connection) > most
        if oldest is None and not is_too_great:
            return is_compact
        most *= _KEPT if is_too_great else 1
        # Where much comes, the two above take longer. Deleting must not stay behind.
        if not keep_within(connection, most, oldest, max(seconds, monotonic() - begun)):
            return False
        if oldest is not None:
            self._next_by_age = monotonic() + _SECONDS_BETWEEN_CLEANUPS
        return is_compact


class FileMaintenance:
    """Maintains a store beside those that write to it, through connections of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._maintenance = Maintenance()

    def run(self, seconds: float = _SECONDS) -> bool:
        """Do what is due, as `Maintenance.run` does."""
        try:
            with no_fork(), closing(connect(self._path)) as connection:
                return self._maintenance.run(connection, seconds)
        except (sqlite3.Error, StoreError) as error:
            logging.getLogger("clew").debug("The store is not summarised now: %s", error)
            return False

    def run_until(self, stop: Event, received: Callable[[], int]) -> None:
        """Do what is due every second until *stop* is set, once anything was *received*.

        When all is done, that is in seconds in which more comes, and in one of each minute.
        """
        seen, next_time = 0, 0.0
        while not stop.wait(1.0):
            number = received()
            if number and (number != seen or monotonic() >= next_time):
                seen = number
                is_done = self.run()
                next_time = monotonic() + _SECONDS_BETWEEN_CLEANUPS if is_done else 0.0
