"""What clew asks of an engine. Each is one module: how it is opened, and its view `spans`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from clew.sessions.engines.schema import LONG


class Window(NamedTuple):
    """Which spans are asked for: when they began, in nanoseconds; None where there is no limit."""

    since_ns: int | None = None
    """Not before."""
    until_ns: int | None = None
    """Before."""
    by_session: bool = False
    """Whether there is a condition on the session. It should be met before rows are compared."""
    columns: frozenset[str] | None = None
    """Those that are asked for, if that is known; others may be left out."""
    with_copies: bool = False
    """Whether a span that is stored twice may be two rows."""

    @property
    def is_bounded(self) -> bool:
        """Whether there is a limit to when spans began."""
        return self.since_ns is not None or self.until_ns is not None

    def within(self, other: "Window") -> "Window":
        """Return it with the limits of *other*, too."""
        since = [it for it in (self.since_ns, other.since_ns) if it is not None]
        until = [it for it in (self.until_ns, other.until_ns) if it is not None]
        return self._replace(since_ns=max(since, default=None), until_ns=min(until, default=None))

    @property
    def is_narrow(self) -> bool:
        """Whether none of the long columns is asked for, and rows need little memory."""
        return self.columns is not None and LONG.isdisjoint(self.columns)


class Answer(NamedTuple):
    """What a query selects. Values are text, int, float, bool or None."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


class Engine(Protocol):
    """A connection to an engine."""

    name: str
    """As in ``clew engines`` and in messages, such as ``ClickHouse``."""
    dialect: str
    """What sqlglot calls its SQL."""
    label: str
    """Where it is, as it may be printed: the URL without credentials."""
    window: Window
    """Of the views of a query, only what was going on then is there."""
    has_types: bool
    """Whether the values in the JSON of the column `attributes` are as they were recorded, as
    `clew.store.encoding.tagged` writes them. If not, each is text, as the Collector writes it."""

    def spans_sql(self, window: Window) -> str:
        """Return a SELECT, in its dialect, of the columns `schema.SPANS` and `schema.RECORDED`.

        It reads only what is in the *window*, where the engine can tell that without reading all.
        A span that is stored twice is one row.
        """

    def query(self, sql: str) -> Answer:
        """Return what *sql*, in its dialect, selects."""

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, some at a time: they need not fit into memory."""

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""

    def share_done(self) -> float:
        """Return which share of the query is done that another thread waits for; 0 if unknown."""

    def cancel(self) -> None:
        """Stop the query that another thread is waiting for."""

    def close(self) -> None:
        """End the connection."""

    # Only where it keeps clew's tables, too.

    tables_place: str
    """Where its tables are: the same text for two connections to the same tables."""
    replaces: bool
    """Whether what is deleted and inserted in a `transaction` becomes visible together."""

    def has_tables(self) -> bool:
        """Whether clew's tables are there."""

    def table_statements(self) -> Sequence[str]:
        """Return the statements that create clew's tables, as `schema.TABLES` says."""

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""

    def now_ns(self) -> int:
        """Return the time by the clock that all who write there share, since 1970."""

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to one of clew's tables; each has all of its columns."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block whose inserts become visible together, where the engine has that."""

    def delete(self, table: str, column: str, values: Sequence[str | int]) -> None:
        """Delete rows of one of clew's tables, or raise UnsupportedError."""

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces, or raise UnsupportedError."""


@runtime_checkable
class OnWorkers(Protocol):
    """An engine whose own workers can summarise, so that spans need not come here."""

    def summaries(
        self, parts: Mapping[str, set[str]]
    ) -> (
        Iterator[tuple[Mapping[str, set[str]], Mapping[str, dict[str, list[dict[str, Any]]]]]]
        | None
    ):
        """Yield *parts* (the traces of each), some at a time, with the rows of each.

        None if they shall not.
        """


@runtime_checkable
class Erases(Protocol):
    """An engine whose file keeps what was deleted from it, until it is written anew."""

    def erase(self) -> None:
        """Have nothing of what was deleted stay in the file, once it is closed."""
