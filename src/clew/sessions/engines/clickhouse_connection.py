"""What the two ways to ClickHouse have in common: over HTTP, and inside this process."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Any, Protocol
from uuid import uuid4

from clew.sessions.engines.engine import Answer
from clew.sessions.engines.errors import EngineError

Row = Mapping[str, Any]
_TRIES, _AGAIN = 100, 0.05
"""How often, and after how many seconds, a query is stopped that the server may not know yet."""


class Connection(Protocol):
    """A way to ClickHouse."""

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, some at a time."""

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""

    def insert(self, table: str, types: Mapping[str, str], rows: Sequence[Row]) -> None:
        """Add rows to a table, whose columns have these *types*."""

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""

    def share_done(self) -> float:
        """Return which share is done of what other threads wait for; 0 if that is not known."""

    def cancel(self) -> None:
        """Stop all queries that are running on this connection."""

    def close(self) -> None:
        """End the connection."""


def share_sql(condition: str) -> str:
    """Return the query for how much is done of the running queries that meet a *condition*."""
    # Which rows have to be read is known only as far as parts have been looked at.
    return (
        "SELECT if(sum(total_rows_approx) = 0, 0., sum(read_rows) / sum(total_rows_approx)) "
        f"FROM system.processes WHERE {condition}"
    )


class RunningQueries:
    """The queries that a connection waits for, so that another thread can stop them."""

    def __init__(self) -> None:
        self._running: dict[str, bool] = {}
        self._changed = Condition()

    @contextmanager
    def one(self) -> Iterator[str]:
        """Yield an id for a query; if it is stopped inside the block, raise that it was."""
        number = f"clew-{uuid4().hex}"
        with self._changed:
            self._running[number] = False
        try:
            yield number
        except Exception as error:
            if self._running[number]:
                message = "cancelled"
                raise EngineError(message) from error
            raise
        finally:
            with self._changed:
                del self._running[number]
                self._changed.notify_all()

    @property
    def ids(self) -> list[str]:
        """The ids of the queries that are waited for."""
        with self._changed:
            return list(self._running)

    def was_cancelled(self, number: str) -> bool:
        """Whether somebody has asked to stop this query."""
        return self._running.get(number, False)

    def cancel(self, kill: Any) -> None:
        """Call *kill* with the ids of all queries until each has ended or the server is at it.

        A query that has just been sent may not be known to the server yet.
        """
        with self._changed:
            chosen = set(self._running)
            self._running.update(dict.fromkeys(chosen, True))
        for _ in range(_TRIES):
            left = sorted(chosen & self._running.keys())
            if not left:
                return
            kill(left)
            with self._changed:
                self._changed.wait_for(lambda: not chosen & self._running.keys(), _AGAIN)
