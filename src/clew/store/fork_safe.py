"""Connections to a store, and rows that are being read from it, that survive a fork."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Lock
from typing import Any

from clew.store.fork_guard import close_before_fork, no_fork

_AT_ONCE = 100
"""How many rows are read before a fork may come between."""

_of_parents: list[object] = []
"""What a thread of the parent was using when it forked all the same. SQLite forbids to close it."""


class ForkSafeConnection:
    """A connection that is closed before a fork, and opened again when it is used."""

    def __init__(self, opened: Callable[[], sqlite3.Connection]) -> None:
        """Open the connection, as *opened* does."""
        self._opened = opened
        self._is_closed = False
        self._lock = Lock()
        with no_fork():
            self._connection: sqlite3.Connection | None = opened()
            close_before_fork(self)

    def get(self) -> sqlite3.Connection:
        """Return the connection. Whoever uses it does so within the same `no_fork`."""
        with no_fork(), self._lock:
            if self._connection is None:
                if self._is_closed:
                    message = "Cannot operate on a closed database."  # As SQLite says it.
                    raise sqlite3.ProgrammingError(message)
                self._connection = self._opened()
            return self._connection

    def close(self) -> None:
        """Close the connection for good."""
        with no_fork(), self._lock:
            self._is_closed = True
            self.before_fork()

    def before_fork(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def after_fork(self) -> None:
        """Forget a connection that is the parent's."""
        self._lock = Lock()
        if self._connection is not None:
            _of_parents.append(self._connection)
            self._connection = None


class ForkSafeRows(Iterator[tuple[Any, ...]]):
    """The rows of a query, some of them read at once. Before a fork, all that are left are."""

    def __init__(self, connection: sqlite3.Connection, cursor: Iterator[tuple[Any, ...]]) -> None:
        """Read from *cursor*, and close the *connection* in the end; called within `no_fork`."""
        self._connection: sqlite3.Connection | None = connection
        self._rows = cursor
        self._ready: Iterator[tuple[Any, ...]] = iter(())
        self._error: sqlite3.Error | None = None
        close_before_fork(self)

    def __next__(self) -> tuple[Any, ...]:
        for row in self._ready:
            return row
        with no_fork():
            several = list(islice(self._rows, _AT_ONCE))
            if not several and self._error is not None:
                raise self._error
        self._ready = iter(several)
        return next(self._ready)

    def close(self) -> None:
        """Close the connection."""
        with no_fork():
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Read the rest, and close the connection."""
        if self._connection is None:
            return
        rest: list[tuple[Any, ...]] = []
        try:
            rest.extend(self._rows)
        except sqlite3.Error as error:  # Whoever reads on is told.
            self._error = error
        self._rows = iter(rest)
        self.close()

    def after_fork(self) -> None:
        """Forget what is the parent's."""
        if self._connection is not None:
            _of_parents.append((self._connection, self._rows))
            self._error = sqlite3.ProgrammingError("the rows are read by the process that forked")
            self._connection, self._rows = None, iter(())
