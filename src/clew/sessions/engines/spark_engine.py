"""Spark, or Sail, by Spark Connect: spans in a table, or in files, that the cluster reads."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from decimal import Decimal
from itertools import islice
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

from clew.sessions.engines.engine import Answer, Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.spark_address import Address, address_of, quoted
from clew.sessions.engines.spark_spans import NANOSECONDS, FlatSpans
from clew.sessions.engines.spark_summaries import Parts, grouped, pairs_table, summaries
from clew.sessions.engines.summary import Rows

_ROWS_AT_ONCE = 10_000
_SECONDS_TO_CONNECT = 10
_SETTINGS = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
"""Without these the answers would be others: an overflow shall be an error."""
_WISHES = {
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.mergeSchema": "true",
}
"""Some servers do not allow these to be set."""
_OF_TABLES = {"delta": "_delta_log", "iceberg": "metadata/*.metadata.json"}
"""Files by which a folder is a table, which says itself which files are a part of it."""
_RAW_TEXTS = "spark.sql.parser.escapedStringLiterals"
_TIMES = ("start", "end", "Timestamp", "Events.Timestamp")
"""Columns that may have nanoseconds, of which Sail cannot say the type."""


class SparkEngine:
    """A session on a Spark Connect server. It only reads."""

    name = "Spark"
    dialect = "spark"
    window = Window()

    def __init__(self, address: Address) -> None:
        """Connect to the server at this *address*, and look at the columns of the spans."""
        self.label = address.label
        self._address = address
        self._cancelled = False
        self._asked = 0
        self._check_there()
        with self._explained():
            self._session = SparkSession.builder.remote(address.remote).create()
        try:
            self._set_up()
            self._refuse_tables()
            self._spans = FlatSpans(address.relation, self._types(), self.label)
        except BaseException:
            self.close()
            raise
        self.has_types = self._spans.has_types

    def __repr__(self) -> str:
        return f"<SparkEngine {self.label}>"

    def _check_there(self) -> None:
        """Raise an error if nobody is there: Spark's client would try it for ten minutes."""
        place = (self._address.host, self._address.port)
        try:
            socket.create_connection(place, timeout=_SECONDS_TO_CONNECT).close()
        except OSError as error:
            message = (
                f"{self.label}: no Spark Connect server answers at {place[0]}:{place[1]} ({error})"
            )
            raise EngineError(message) from error

    def _set_up(self) -> None:
        with self._explained():
            for name, value in _SETTINGS.items():
                self._session.conf.set(name, value)
            for name, value in _WISHES.items():
                with suppress(PySparkException):
                    self._session.conf.set(name, value)
            if self._session.conf.get(_RAW_TEXTS, "false") == "true":
                self._session.conf.set(_RAW_TEXTS, "false")

    def _refuse_tables(self) -> None:
        """Raise an error if what would be read as Parquet files is a table of another format."""
        if (path := self._address.guessed) is None or path.endswith(".parquet"):
            return
        for kind, files in _OF_TABLES.items():
            place = quoted(f"{path.rstrip('/')}/{files}")
            try:
                found = self._session.sql(f"SELECT 1 FROM text.{place} LIMIT 1").toArrow()
            except PySparkException:  # It is not there.
                continue
            if found.num_rows:
                message = (
                    f"{self.label} is a table of {kind.title()}, some of whose files may be of "
                    f"rows that were deleted from it: add &format={kind} to the URL, or "
                    "&format=parquet to read all files"
                )
                raise EngineError(message)

    def _types(self) -> dict[str, str]:
        """Return the types of the columns that are there."""
        with self._explained():  # Where there is nothing, Spark says it here, and Sail below.
            frame = self._session.sql(f"SELECT * FROM {self._address.relation}")
        try:
            return dict(frame.dtypes)
        except PySparkException as error:
            if "Nanosecond" not in str(error):
                raise self._error(error) from error
        with self._explained():
            types = dict(frame.drop(*_TIMES).dtypes)
        for name in _TIMES:
            with suppress(PySparkException):  # It is not there.
                if frame.selectExpr(f"typeof({quoted(name)}) AS type").columns:
                    types[name] = NANOSECONDS
        return types

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT of the view `spans`, of what began in the *window* only."""
        return self._spans.spans_sql(window)

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""
        with self._explained():
            found = self._session.sql(sql).toArrow()
            columns = [map(_plain, it.to_pylist()) for it in found.columns]
            rows = list(zip(*columns, strict=True))
        return Answer(found.column_names, rows)

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, some at a time."""
        with self._explained():
            rows = self._session.sql(sql).toLocalIterator()
            yield from ([tuple(map(_plain, row)) for row in some] for some in _some(rows))

    def summaries(self, parts: Parts) -> Iterator[tuple[Parts, Mapping[str, Rows]]] | None:
        """Yield *parts*, some at a time, with what the workers of the cluster make of them.

        None if they shall be made here.
        """
        if not self._address.on_workers:
            return None
        return self._summaries(parts)

    def _summaries(self, parts: Parts) -> Iterator[tuple[Parts, Mapping[str, Rows]]]:
        with self._explained():
            yield from summaries(self._session, self.spans_sql, parts, has_types=self.has_types)

    def grouped(
        self, parts: Parts, function: Callable[[Any], Any], schema: str
    ) -> Iterator[Sequence[Any]]:
        """Yield what *function* makes of the spans of each part, on the workers of the cluster.

        It is given an Arrow table, and returns one with the columns of *schema*.
        """
        with self._explained():
            pairs = self._session.createDataFrame(pairs_table(parts))
            spans = self.spans_sql(Window())
            yield from grouped(self._session, spans, pairs, function, schema)

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the server."""
        return self._asked > 0

    def share_done(self) -> float:
        """Return 0: Spark Connect does not say it to everybody."""
        return 0.0

    def cancel(self) -> None:
        """Stop the queries that other threads are waiting for."""
        self._cancelled = True
        with suppress(PySparkException):
            self._session.interruptAll()

    def close(self) -> None:
        """End the session, not the server."""
        with suppress(PySparkException):
            self._session.stop()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        self._asked += 1
        try:
            yield
        except (PySparkException, ArithmeticError) as error:
            raise self._error(error) from error
        finally:
            self._asked -= 1

    def _error(self, error: Exception) -> EngineError:
        reason = str(error).strip().partition("\n")[0]
        if "No module named 'clew" in str(error):
            reason = (
                "its workers have no clew, which summarises sessions there; install clew on "
                "them, or add workers=no to the URL, and it is done in this process"
            )
            return EngineError(f"{self.label}: {reason}")
        if self._cancelled or "OPERATION_CANCELED" in reason:
            self._cancelled = False
            return EngineError(f"{self.label}: cancelled")
        return EngineError(f"{self.label}: Spark says: {reason}")

    # It keeps no tables of clew's.

    def has_tables(self) -> bool:
        """Whether clew's tables are there: they are in a local file."""
        return False

    def table_statements(self) -> Sequence[str]:
        """Raise an error: clew's tables are in a local file."""
        raise self._keeps_none()

    def execute(self, statement: str) -> None:
        """Raise an error: nothing is written here."""
        raise self._keeps_none()

    def now_ns(self) -> int:
        """Raise an error: nothing is written here."""
        raise self._keeps_none()

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Raise an error: nothing is written here."""
        raise self._keeps_none()

    def transaction(self) -> AbstractContextManager[None]:
        """Raise an error: nothing is written here."""
        raise self._keeps_none()

    def delete(self, table: str, column: str, values: Sequence[str | int]) -> None:
        """Raise an error: nothing is written here."""
        raise self._keeps_none()

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Raise an error: Spark's spans are only read."""
        message = f"{self.label} is only read: clew does not delete spans in Spark"
        raise UnsupportedError(message)

    def _keeps_none(self) -> UnsupportedError:
        return UnsupportedError(
            f"{self.label} is only read: Spark keeps no tables of clew's; they are in a local file"
        )


def open_engine(url: str) -> SparkEngine:
    """Open the Spark Connect server at *url*."""
    return SparkEngine(address_of(url))


def _plain(value: Any) -> Any:
    """Return a value as text, int or float: what Spark makes of 0.5 is a decimal number."""
    if isinstance(value, Decimal):
        return int(value) if _is_whole(value) else float(value)
    return value


def _is_whole(value: Decimal) -> bool:
    """Whether a decimal number has no places after the point, as sums of whole numbers."""
    return value.as_tuple().exponent == 0


def _some(rows: Iterable[Any]) -> Iterator[Sequence[Any]]:
    iterator = iter(rows)
    while some := list(islice(iterator, _ROWS_AT_ONCE)):
        yield some
