"""ClickHouse inside this process: chdb, which keeps its files in a folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from threading import RLock
from typing import Any

from clew.sessions.engines.clickhouse_address import Address
from clew.sessions.engines.clickhouse_connection import Row, RunningQueries, share_sql
from clew.sessions.engines.clickhouse_settings import WANTED
from clew.sessions.engines.collector_table import literal, quoted
from clew.sessions.engines.engine import Answer
from clew.sessions.engines.errors import EngineError

_ROWS = "JSONCompactEachRow"
_TYPED_ROWS = f"{_ROWS}WithNamesAndTypes"
_LONGEST = 2000
_REASONS = {
    "Error initializing EmbeddedServer": (
        "chdb cannot open this folder. Probably another process has it open: chdb allows one at a "
        "time"
    ),
    "EmbeddedServer already initialized": (
        "this process has another folder of chdb's open, which allows one at a time"
    ),
    "cannot be safely converted into type Int64": (
        "integer overflow: a sum, a difference or a product does not fit into 64 bits"
    ),
}
"""What chdb means, by what it says."""
_BILLION = 10**9
_EARLIEST = -(2**63 // _BILLION) * _BILLION
"""The first time that it reads as text: 0.9 seconds after the first that it has."""


class ChdbConnection:
    """A connection to chdb. Only one process at a time can open a folder."""

    def __init__(self, address: Address) -> None:
        self._label = address.label
        self._running = RunningQueries()
        self._lock = RLock()  # One query at a time.
        self._address = address
        self._chdb: Any = import_module("chdb")
        with self._explained():
            self._connection = self._opened()
            # Another connection to the same folder, by which another thread stops a query.
            self._other = self._chdb.connect(str(address.folder))

    def _opened(self) -> Any:
        """Return a connection that answers as the SQL standard says."""
        connection = self._chdb.connect(str(self._address.folder))
        known = connection.query("SELECT name FROM system.settings", "TSV").bytes().decode().split()
        for name in WANTED.keys() & set(known):
            connection.query(f"SET {name} = {literal(WANTED[name])}")
        connection.query("SET output_format_json_quote_denormals = 0")
        connection.query(f"USE {quoted(self._address.database)}")
        return connection

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""
        with self._asking() as number:
            names, rows = _read(self._raw(f"/* {number} */ {sql}", _TYPED_ROWS))
        return Answer(names, rows)

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, a block at a time."""
        with self._asking() as number:
            stream = self._connection.send_query(f"/* {number} */ {sql}", _TYPED_ROWS)
            try:
                for chunk in stream:  # Each is whole, with names and types of its own.
                    _, rows = _read(chunk.bytes())
                    if rows:
                        yield rows
                    if self._running.was_cancelled(number):
                        message = "cancelled"
                        raise EngineError(message)
            finally:
                stream.close()

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""
        with self._asking() as number:
            self._raw(f"/* {number} */ {statement}")

    def insert(self, table: str, types: Mapping[str, str], rows: Sequence[Row]) -> None:
        """Add rows to a table, whose columns have these *types*."""
        if not rows:
            return
        moments = {name for name, kind in types.items() if "DateTime64" in kind}
        lines = "\n".join(
            json.dumps(
                [_moment(row[name]) if name in moments else row[name] for name in types],
                ensure_ascii=False,
            )
            for row in rows
        )
        columns = ", ".join(map(quoted, types))
        with self._asking():
            self._raw(f"INSERT INTO {table} ({columns}) FORMAT {_ROWS}\n{lines}")

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""
        return bool(self._running.ids)

    def share_done(self) -> float:
        """Return which share is done of what other threads wait for; 0 if that is not known."""
        sql = share_sql(_marked(self._running.ids))
        with suppress(RuntimeError):
            return min(1.0, float(self._other.query(sql, "TSV").bytes()))
        return 0.0

    def cancel(self) -> None:
        """Stop all queries that are running on this connection."""

        def kill(numbers: Sequence[str]) -> None:
            with suppress(RuntimeError):  # One that has ended meanwhile.
                self._other.query(f"KILL QUERY WHERE {_marked(numbers)} ASYNC")

        self._running.cancel(kill)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._other.close()
            self._connection.close()

    def _raw(self, sql: str, form: str = "TSV") -> bytes:
        found: bytes = self._connection.query(sql, form).bytes()
        return found

    @contextmanager
    def _asking(self) -> Iterator[str]:
        with self._lock, self._explained(), self._running.one() as number:
            try:
                yield number
            except Exception:
                # What it had begun to say would be at the beginning of the next answer.
                if self._running.was_cancelled(number):
                    self._connection.close()
                    self._connection = self._opened()
                else:
                    with suppress(self._chdb.ChdbError, RuntimeError):
                        self._connection.query("SELECT 1", "TSV")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (self._chdb.ChdbError, RuntimeError, ValueError, OSError) as error:
            if isinstance(error, EngineError):
                raise
            said = str(error)
            said = next((why for sign, why in _REASONS.items() if sign in said), said[:_LONGEST])
            message = f"{self._label}: {said}"
            raise EngineError(message) from error


def _read(text: bytes) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the names and the rows that *text* has, with 5.0 where it is written as 5."""
    lines = [json.loads(line) for line in text.split(b"\n") if line]
    if not lines:
        return [], []
    names, types, *rows = lines
    places = [place for place, it in enumerate(types) if it in {"Float64", "Nullable(Float64)"}]
    for row in rows if places else ():
        for place in places:
            if row[place] is not None:
                row[place] = float(row[place])
    return names, [tuple(it) for it in rows]


def _marked(numbers: Sequence[str]) -> str:
    """Return the condition for queries with these ids, with which they begin."""
    return " OR ".join(f"startsWith(query, '/* {it} */')" for it in numbers) or "0"


def _moment(value: int | Sequence[int]) -> str | list[str]:
    """Return a time, or several, with all of its nanoseconds as ClickHouse reads it."""
    if not isinstance(value, int):
        return [text for it in value if isinstance(text := _moment(it), str)]
    seconds, rest = divmod(max(value, _EARLIEST), _BILLION)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09}"
