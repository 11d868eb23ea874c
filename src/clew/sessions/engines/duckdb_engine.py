"""DuckDB: spans in a file of its own, or in Parquet; and clew's tables, for other engines, too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock
from time import time_ns
from typing import Any
from urllib.parse import parse_qs

import duckdb

from clew.sessions.engines import flat_spans
from clew.sessions.engines.duckdb_connection import explained, opened, quoted, run, text
from clew.sessions.engines.duckdb_file import DuckDBFile, file_at
from clew.sessions.engines.engine import Answer, Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.location import check_options
from clew.sessions.engines.parquet_files import FILE, ParquetFiles
from clew.sessions.engines.schema import TABLES
from clew.store.location import home_expanded

_TYPES = {"text": "VARCHAR", "int": "BIGINT", "float": "DOUBLE"}
_ROWS_AT_ONCE = 10_000
_LATEST = 2**63 - 1
"""A time of so many nanoseconds is infinite to DuckDB, and that many before 1970, too."""
_SOURCE = "source"
_OPTIONS = {"parquet": {"since", "until"}, "duckdb": {"since", "until", "table"}}


def open_engine(url: str, tables: Path | None = None) -> "DuckDBEngine":
    """Open the spans that *url* names, with clew's tables in the file *tables*.

    Without *tables*, they are in the DuckDB file itself.
    """
    scheme, _, rest = url.partition(":")
    place, _, options = rest.partition("?")
    check_options(options, _OPTIONS[scheme])
    table = parse_qs(options).get("table", ["spans"])[-1]
    label = f"{scheme}:{place}"
    if scheme == "parquet":
        with _opened(tables) as (connection, file):
            files = ParquetFiles(connection, place)
            return DuckDBEngine(label, connection, files, delete=files.delete, file=file)
    path = home_expanded(place.removeprefix("//"))
    if not path.is_file():
        message = f"there is no file {path}; write duckdb:FILE"
        raise EngineError(message)
    with _opened(tables or path) as (connection, file):
        if tables is None:
            return _whole(label, connection, quoted(table), file)
        run(connection, label, f"ATTACH {text(str(path))} AS {_SOURCE} (READ_ONLY)")
        return DuckDBEngine(label, connection, f"{_SOURCE}.{quoted(table)}", file=file)


@contextmanager
def _opened(
    path: Path | None,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, DuckDBFile | None]]:
    """Open a file to be written, if there is a path, in a block that makes an engine of it."""
    if path is None:
        yield opened(None), None
        return
    file = file_at(path)
    with file.opening:  # Nobody writes it anew meanwhile.
        yield opened(path), file


def _whole(
    label: str, connection: duckdb.DuckDBPyConnection, table: str, file: DuckDBFile | None
) -> "DuckDBEngine":
    """Return the engine of a file that has both the spans and clew's tables."""

    def delete(trace_ids: Sequence[str]) -> None:
        statement = f"DELETE FROM {table} WHERE trace_id IN (SELECT unnest(?::VARCHAR[]))"
        run(connection, label, statement, [list(trace_ids)])

    return DuckDBEngine(label, connection, table, delete=delete, file=file)


def local_tables(path: Path) -> "DuckDBEngine":
    """Open the file in which clew keeps its tables, when the engine with the spans has none."""
    with _opened(path) as (connection, file):
        return DuckDBEngine(str(path), connection, file=file)


class DuckDBEngine:
    """A connection to DuckDB."""

    name = "DuckDB"
    dialect = "duckdb"
    has_types = True
    replaces = True
    window = Window()

    def __init__(
        self,
        label: str,
        connection: duckdb.DuckDBPyConnection,
        relation: str | ParquetFiles = "",
        *,
        delete: Callable[[Sequence[str]], None] | None = None,
        file: DuckDBFile | None = None,
    ) -> None:
        """Use a *connection*; the spans are read from *relation*, if there are any.

        *delete* deletes the spans of traces, where that is possible. Clew's tables are in *file*.
        """
        self.label = label
        self._connection = connection
        self._files = relation if isinstance(relation, ParquetFiles) else None
        relation = relation if isinstance(relation, str) else relation.relation
        self._relation = relation
        self._delete = delete
        self._lock = Lock()
        # DuckDB refuses what a second thread wants of a connection that works.
        self._writing = RLock()
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._columns: frozenset[str] = frozenset()
        if relation:
            self._columns = frozenset(
                row[0] for row in self.query(f"DESCRIBE SELECT * FROM {relation}").rows
            )
            flat_spans.check_columns(self._columns, label)
        self._file = file
        self.tables_place = label if file is None else str(file.path)
        if file is not None:
            file.add_user(self)

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT that is the view of spans."""
        chosen = flat_spans.columns(
            self._columns, {"start_ns": self._time("start"), "end_ns": self._time("end")}
        )
        conditions = [] if self._files is None else self._files.conditions(window)
        for bound, sign, day_sign in ((window.since_ns, ">=", ">="), (window.until_ns, "<", "<=")):
            if bound is not None:
                conditions.append(f"{_nanoseconds('start')} {sign} {bound}")
                if "day" in self._columns:
                    day = f"CAST(make_timestamp_ns({bound}) AS DATE)"
                    # It is NULL where some files are in the folder of a day, and others are not.
                    conditions.append(f"(day IS NULL OR CAST(day AS DATE) {day_sign} {day})")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        stored = f"SELECT {', '.join(chosen)} FROM {self._relation} {where}"
        if window.with_copies:
            return stored
        # A condition on what tells rows apart is met before they are compared.
        keys = f"trace_id, span_id{', session_id' if window.by_session else ''}"
        if window.is_narrow:  # This takes a quarter of the time, and must fit into memory.
            return f"SELECT DISTINCT ON ({keys}) * FROM ({stored})"
        place = f"row_number() OVER (PARTITION BY {keys} ORDER BY start_ns)"
        return f"SELECT * FROM ({stored}) QUALIFY {place} = 1"

    def _time(self, column: str) -> str:
        """Return nanoseconds since 1970, or an error that says which file has a row without."""
        place = text(self.label) if self._files is None else FILE
        said = text(f" has a row without {column}, which is no span")
        return f"coalesce({_nanoseconds(column)}, error({place} || {said}))"

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
            raise explained(self.label, error) from error
        finally:
            with self._lock:
                self._running.discard(cursor)
            cursor.close()

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""
        return bool(self._running)

    def share_done(self) -> float:
        """Return which share of the query is done that another thread waits for; 0 if unknown."""
        with self._lock:
            # It is -1 where DuckDB does not know, or not yet.
            return max(0.0, *(float(it.query_progress()) / 100 for it in self._running), 0.0)

    def cancel(self) -> None:
        """Stop the queries that other threads are waiting for."""
        with self._lock:
            for cursor in self._running:
                cursor.interrupt()

    def close(self) -> None:
        """Close the files."""
        if self._file is None:
            self._connection.close()
            return
        with self._file.opening:
            self._connection.close()
            self._file.remove_user(self)

    def erase(self) -> None:
        """Have nothing of what was deleted stay in the file, once it is closed."""
        if self._file is not None:
            self._file.erase()

    def has_tables(self) -> bool:
        """Whether all of clew's tables are in the file that is open to be written."""
        return self._has_tables("current_database()")

    def source_has_tables(self) -> bool:
        """Whether clew's tables are in the file with the spans, which is only read."""
        return self._has_tables(text(_SOURCE))

    def _has_tables(self, database: str) -> bool:
        query = (
            "SELECT count(*) FROM duckdb_tables() "
            f"WHERE database_name = {database} AND table_name IN ({', '.join(map(text, TABLES))})"
        )
        return bool(self.query(query).rows[0][0] == len(TABLES))

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
        self._run(statement)

    def _run(self, statement: str, values: Any = None) -> None:
        with self._writing:
            run(self._connection, self.label, statement, values)

    def now_ns(self) -> int:
        """Return the time: only one process at a time writes a file."""
        return time_ns()

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
            self._run(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is inserted in this block visible together."""
        with self._writing:
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
        self._run(statement, [list(values)])

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces, if clew may write where they are."""
        if self._delete is None:
            message = f"{self.label} is only read: clew does not delete spans there"
            raise UnsupportedError(message)
        with self._writing:
            self._delete(trace_ids)


def _nanoseconds(column: str) -> str:
    """Return nanoseconds since 1970, also of the two times that DuckDB takes for infinite ones."""
    name = quoted(column)
    infinite = f"CASE CAST({name} AS VARCHAR) WHEN 'infinity' THEN {_LATEST} "
    return f"coalesce(epoch_ns({name}), {infinite}WHEN '-infinity' THEN -{_LATEST} END)"
