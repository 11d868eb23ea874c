"""Maintenance: what is done in a store after spans were written to it."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic, time_ns

from clew.core import settings
from clew.sessions.deletion import keep_within
from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import StoreError, connect
from clew.store.fork_guard import no_fork

_SECONDS_BETWEEN_CLEANUPS = 60.0
_SECONDS = 0.2
_DAY = 24 * 60 * 60 * 10**9


class Maintenance:
    """Summarises new spans, compresses them, and from time to time deletes the oldest sessions."""

    def __init__(self) -> None:
        self._next_cleanup = 0.0

    def run(self, connection: sqlite3.Connection, seconds: float) -> None:
        """Do what is due; spend about so many *seconds* on each of the three.

        What is left is done the next time, and readers bring the summaries up to date themselves.
        """
        if not bring_up_to_date(connection, seconds) or not compact(connection, seconds):
            return
        if monotonic() < self._next_cleanup:
            return
        days = settings.STORE_MAX_DAYS.read()
        oldest = None if days is None else time_ns() - int(days * _DAY)
        if keep_within(connection, settings.STORE_MAX_MB.read() * 1e6, oldest, seconds):
            self._next_cleanup = monotonic() + _SECONDS_BETWEEN_CLEANUPS


class FileMaintenance:
    """Maintains a store beside those that write to it, through connections of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._maintenance = Maintenance()

    def run(self, seconds: float = _SECONDS) -> None:
        """Do what is due, as `Maintenance.run` does."""
        try:
            with no_fork(), closing(connect(self._path)) as connection:
                self._maintenance.run(connection, seconds)
        except (sqlite3.Error, StoreError) as error:
            logging.getLogger("clew").debug("The store is not summarised now: %s", error)

    def run_until(self, stop: Event, received: Callable[[], int]) -> None:
        """Do what is due every second in which spans were *received*, until *stop* is set."""
        seen = 0
        while not stop.wait(1.0):
            if (number := received()) != seen:
                seen = number
                self.run()
