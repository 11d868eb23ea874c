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
    chosen = {name: values[-1] for name, values in parse_qs(options).items()}
    if scheme == "duckdb":
        return DuckDBEngine.of_file(url, place, chosen.get("table", "spans"), tables)
    return DuckDBEngine.of_parquet(url, place, tables)


def local_tables(path: Path) -> "DuckDBEngine":
    """Open the file in which clew keeps its tables, when the engine with the spans has none."""
    return DuckDBEngine(str(path), _opened(path))


class DuckDBEngine:
    """A connection to DuckDB."""

    name = "DuckDB"
    dialect = "duckdb"
    has_types = True

    def __init__(self, label: str, connection: duckdb.DuckDBPyConnection) -> None:
        self.label = label
        self._connection = connection
        self._relation = ""
        """What the spans are read from."""
        self._columns: frozenset[str] = frozenset()
        self._parquet = ""
        self._lock = Lock()
        self._running: set[duckdb.DuckDBPyConnection] = set()

    @classmethod
    def of_file(cls, label: str, place: str, table: str, tables: Path | None) -> "DuckDBEngine":
        """Open a DuckDB file with a table of spans."""
        path = Path(place.removeprefix("//")).expanduser()
        if not path.is_file():
            message = f"there is no file {path}; write duckdb:FILE"
            raise EngineError(message)
        relation = _quoted(table)
        if tables is None:
            engine = cls(label, _opened(path))
        else:
            engine = cls(label, _opened(tables))
            engine.execute(f"ATTACH {_text(str(path))} AS {_SOURCE} (READ_ONLY)")
            relation = f"{_SOURCE}.{relation}"
        engine._use(relation)
        return engine

    @classmethod
    def of_parquet(cls, label: str, place: str, tables: Path | None) -> "DuckDBEngine":
        """Open Parquet files: one, or all in a folder and those below."""
        engine = cls(label, _opened(tables) if tables else duckdb.connect())
        is_remote = "://" in place
        if is_remote:
            engine._load_remote(place)
            pattern = place if place.endswith(".parquet") else f"{place.rstrip('/')}/**/*.parquet"
        else:
            path = Path(place.removeprefix("//")).expanduser()
            if not path.exists():
                message = f"there is no folder {path}; write parquet:FOLDER or parquet:FILE.parquet"
                raise EngineError(message)
            pattern = str(path if path.is_file() else path / "**" / "*.parquet")
            if path.is_dir() and next(path.rglob("*.parquet"), None) is None:
                message = f"there is no Parquet file in {path}; clew export --to parquet makes some"
                raise EngineError(message)
        engine._parquet = pattern
        # A day in the path of a file and one in its rows are the same.
        engine._use(
            f"read_parquet({_text(pattern)}, union_by_name = true, hive_partitioning = true, "
            "hive_types_autocast = false)"
        )
        return engine

    def _load_remote(self, place: str) -> None:
        try:
            self.execute("LOAD httpfs")
            self.execute("CREATE SECRET IF NOT EXISTS clew (TYPE s3, PROVIDER credential_chain)")
        except EngineError as error:
            message = (
                f"{place.partition('://')[0]}:// needs DuckDB's extension httpfs; install it with: "
                "python -c \"import duckdb; duckdb.sql('INSTALL httpfs; INSTALL aws')\""
            )
            raise EngineError(message) from error

    def _use(self, relation: str) -> None:
        try:
            described = self._connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            raise self._explained(error) from error
        self._relation = relation
        self._columns = frozenset(row[0] for row in described)
        flat_spans.check_columns(self._columns, self.label)

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
            raise self._explained(error) from error
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
        query = (
            "SELECT count(*) FROM duckdb_tables() "
            "WHERE database_name = current_database() AND table_name = 'clew_part'"
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
        try:
            self._connection.execute(statement)
        except duckdb.Error as error:
            raise self._explained(error) from error

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to one of clew's tables."""
        columns = TABLES[table]
        names = ", ".join(it.name for it in columns)
        # Whole columns are given at once, which is many times faster than row by row.
        lists = ", ".join(f"unnest(?::{_TYPES[it.type]}[])" for it in columns)
        statement = f"INSERT INTO {table} ({names}) SELECT {lists}"
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            try:
                self._connection.execute(
                    statement, [[row[it.name] for row in some] for it in columns]
                )
            except duckdb.Error as error:
                raise self._explained(error) from error

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
        try:
            self._connection.execute(statement, [list(values)])
        except duckdb.Error as error:
            raise self._explained(error) from error

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces, where they are in the file that is open."""
        if self._parquet or self._relation.startswith(_SOURCE):
            where = "Parquet files" if self._parquet else "a DuckDB file that is only read"
            message = f"{self.label} is {where}: clew does not delete spans there"
            raise UnsupportedError(message)
        statement = f"DELETE FROM {self._relation} WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))"
        self._connection.execute(statement, [list(trace_ids)])

    def _explained(self, error: Exception) -> EngineError:
        reason = str(error).partition("\n")[0]
        if isinstance(error, duckdb.InterruptException):
            return EngineError(f"{self.label}: cancelled")
        return EngineError(f"{self.label}: DuckDB says: {reason}")


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
