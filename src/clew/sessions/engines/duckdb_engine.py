"""DuckDB: spans in a file of its own, or in Parquet; and clew's tables, for other engines, too."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

import duckdb

from clew.sessions.engines import flat_spans
from clew.sessions.engines.engine import Answer, Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.schema import TABLES

_TYPES = {"text": "VARCHAR", "int": "BIGINT", "float": "DOUBLE"}
_MEMORY = "2GB"
_ROWS_AT_ONCE = 10_000
_SOURCE = "source"
_TIMES = {"start_ns": 'epoch_ns("start")', "end_ns": 'epoch_ns("end")'}


def open_engine(url: str, tables: Path | None = None) -> "DuckDBEngine":
    """Open the spans that *url* names, with clew's tables in the file *tables*.

    Without *tables*, they are in the DuckDB file itself.
    """
    scheme, _, rest = url.partition(":")
    place, _, options = rest.partition("?")
    table = parse_qs(options).get("table", ["spans"])[-1]
    label = f"{scheme}:{place}"
    if scheme == "parquet":
        connection = _opened(tables) if tables else duckdb.connect()
        return DuckDBEngine(label, connection, _parquet(connection, place))
    path = Path(place.removeprefix("//")).expanduser()
    if not path.is_file():
        message = f"there is no file {path}; write duckdb:FILE"
        raise EngineError(message)
    if tables is None:
        return DuckDBEngine(label, _opened(path), _quoted(table), may_delete=True)
    connection = _opened(tables)
    _run(connection, label, f"ATTACH {_text(str(path))} AS {_SOURCE} (READ_ONLY)")
    return DuckDBEngine(label, connection, f"{_SOURCE}.{_quoted(table)}")


def local_tables(path: Path) -> "DuckDBEngine":
    """Open the file in which clew keeps its tables, when the engine with the spans has none."""
    return DuckDBEngine(str(path), _opened(path))


class DuckDBEngine:
    """A connection to DuckDB."""

    name = "DuckDB"
    dialect = "duckdb"
    has_types = True
    replaces = True

    def __init__(
        self,
        label: str,
        connection: duckdb.DuckDBPyConnection,
        relation: str = "",
        *,
        may_delete: bool = False,
    ) -> None:
        """Use a *connection*; the spans are read from *relation*, if there are any."""
        self.label = label
        self._connection = connection
        self._relation = relation
        self._may_delete = may_delete
        self._lock = Lock()
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._columns: frozenset[str] = frozenset()
        if relation:
            self._columns = frozenset(
                row[0] for row in self.query(f"DESCRIBE SELECT * FROM {relation}").rows
            )
            flat_spans.check_columns(self._columns, label)

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT that is the view of spans."""
        chosen = flat_spans.columns(self._columns, _TIMES)
        conditions = []
        for bound, sign in ((window.since_ns, ">="), (window.until_ns, "<")):
            if bound is not None:
                conditions.append(f'epoch_ns("start") {sign} {bound}')
                if "day" in self._columns:
                    day = f"CAST(make_timestamp_ns({bound}) AS DATE)"
                    conditions.append(f"CAST(day AS DATE) {'>=' if sign == '>=' else '<='} {day}")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        return (
            f"SELECT {', '.join(chosen)} FROM {self._relation} {where} "
            'QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY "start") = 1'
        )

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return Answer(names, cursor.fetchall())

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, some at a time."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            while some := cursor.fetchmany(_ROWS_AT_ONCE):
                yield some

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            cursor = self._connection.cursor()
            self._running.add(cursor)
        try:
            yield cursor
        except duckdb.Error as error:
            raise _explained(self.label, error) from error
        finally:
            with self._lock:
                self._running.discard(cursor)
            cursor.close()

    def cancel(self) -> None:
        """Stop the queries that other threads are waiting for."""
        with self._lock:
            for cursor in self._running:
                cursor.interrupt()

    def close(self) -> None:
        """Close the files."""
        self._connection.close()

    def has_tables(self) -> bool:
        """Whether clew's tables are in the file that is open to be written."""
        return self._has_tables("current_database()")

    def source_has_tables(self) -> bool:
        """Whether clew's tables are in the file with the spans, which is only read."""
        return self._has_tables(_text(_SOURCE))

    def _has_tables(self, database: str) -> bool:
        query = (
            "SELECT count(*) FROM duckdb_tables() "
            f"WHERE database_name = {database} AND table_name = 'clew_part'"
        )
        return bool(self.query(query).rows[0][0])

    def table_statements(self) -> Sequence[str]:
        """Return the statements that create clew's tables."""
        return [
            f"CREATE TABLE IF NOT EXISTS {table} ("
            + ", ".join(
                f"{it.name} {_TYPES[it.type]}{'' if it.null else ' NOT NULL'}" for it in columns
            )
            + ")"
            for table, columns in TABLES.items()
        ]

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""
        _run(self._connection, self.label, statement)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to one of clew's tables."""
        columns = TABLES[table]
        names = ", ".join(it.name for it in columns)
        # Whole columns are given at once, which is many times faster than row by row.
        lists = ", ".join(f"unnest(?::{_TYPES[it.type]}[])" for it in columns)
        statement = f"INSERT INTO {table} ({names}) SELECT {lists}"
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            values = [[row[it.name] for row in some] for it in columns]
            _run(self._connection, self.label, statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is inserted in this block visible together."""
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def delete(self, table: str, column: str, values: Sequence[str | int]) -> None:
        """Delete the rows of one of clew's tables that have one of these values."""
        kind = next(_TYPES[it.type] for it in TABLES[table] if it.name == column)
        statement = f"DELETE FROM {table} WHERE {column} IN (SELECT unnest(?::{kind}[]))"
        _run(self._connection, self.label, statement, [list(values)])

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces, where they are in the file that is open."""
        if not self._may_delete:
            message = f"{self.label} is only read: clew does not delete spans there"
            raise UnsupportedError(message)
        statement = f"DELETE FROM {self._relation} WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))"
        _run(self._connection, self.label, statement, [list(trace_ids)])


def _parquet(connection: duckdb.DuckDBPyConnection, place: str) -> str:
    """Return what Parquet files are read by: one, or all in a folder and those below."""
    if "://" in place:
        pattern = place if place.endswith(".parquet") else f"{place.rstrip('/')}/**/*.parquet"
        try:
            _run(connection, place, "LOAD httpfs")
            _run(connection, place, "CREATE SECRET clew (TYPE s3, PROVIDER credential_chain)")
        except EngineError as error:
            message = (
                f"{place.partition('://')[0]}:// needs DuckDB's extensions httpfs and aws; install "
                "them with: python -c \"import duckdb; duckdb.sql('INSTALL httpfs; INSTALL aws')\""
            )
            raise EngineError(message) from error
    else:
        path = Path(place.removeprefix("//")).expanduser()
        if not path.exists():
            message = f"there is no folder {path}; write parquet:FOLDER or parquet:FILE.parquet"
            raise EngineError(message)
        pattern = str(path if path.is_file() else path / "**" / "*.parquet")
        if path.is_dir() and next(path.rglob("*.parquet"), None) is None:
            message = f"there is no Parquet file in {path}; clew export --to parquet makes some"
            raise EngineError(message)
    # A day in the path of a file and one in its rows are the same.
    return (
        f"read_parquet({_text(pattern)}, union_by_name = true, hive_partitioning = true, "
        "hive_types_autocast = false)"
    )


def _run(
    connection: duckdb.DuckDBPyConnection, label: str, statement: str, values: Any = None
) -> None:
    try:
        connection.execute(statement, values)
    except duckdb.Error as error:
        raise _explained(label, error) from error


def _explained(label: str, error: Exception) -> EngineError:
    if isinstance(error, duckdb.InterruptException):
        return EngineError(f"{label}: cancelled")
    return EngineError(f"{label}: DuckDB says: {str(error).partition(chr(10))[0]}")


def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": _MEMORY,
                "threads": str(os.cpu_count() or 1),
            },
        )
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        message = (
            f"{path} cannot be opened: DuckDB lets one process write a file; it says: {reason}"
        )
        raise EngineError(message) from error
    return connection


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
