"""ClickHouse: the spans in `otel_traces`, as the OpenTelemetry Collector stores them.

clickhouse://[user[:password]@]host[:port]/database[?table=otel_traces&secure=1]
chdb:FOLDER                                      inside this process, one process at a time
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from clew.sessions.engines.clickhouse_address import Address, address_of
from clew.sessions.engines.clickhouse_connection import Connection
from clew.sessions.engines.clickhouse_tables import (
    TIMES,
    collector_statements,
    table_statements,
    types_of,
)
from clew.sessions.engines.collector_rows import row_of
from clew.sessions.engines.collector_table import (
    CollectorTable,
    literal,
    quoted,
    table_of,
    where,
)
from clew.sessions.engines.engine import Answer, Window
from clew.sessions.engines.errors import EngineError, UnsupportedError
from clew.sessions.engines.schema import TABLES
from clew.store.otlp.limits import INT64
from clew.store.record import SpanRecord

PIP_LINE = "python -m pip install chdb"
_PER_STATEMENT = 1000
_ROWS_PER_INSERT = 10_000
_TEXT_PER_INSERT = 32_000_000


class ClickHouseEngine:
    """A connection to ClickHouse. Nothing is written unless clew's tables are asked for."""

    name = "ClickHouse"
    dialect = "clickhouse"
    has_types = False
    replaces = False
    window = Window()

    def __init__(self, address: Address, connection: Connection) -> None:
        """Use a *connection* to the table of spans at this *address*."""
        self.label = self.tables_place = address.label
        self._database = address.database
        self._spans = f"{quoted(address.database)}.{quoted(address.table)}"
        self._address = address
        self._connection = connection
        self._table: CollectorTable | None = None

    def __repr__(self) -> str:
        return f"<ClickHouseEngine {self.label}>"

    @property
    def table(self) -> CollectorTable:
        """The table of spans, as it is found there."""
        if self._table is None:
            there = self._tables()
            if self._address.table not in there:
                message = (
                    f"{self.label} has no table {self._address.table} in the database "
                    f"{self._database}, or it may not be read. Name the table of spans in the "
                    "URL: ?table=otel_traces"
                )
                raise EngineError(message)
            described = self.query(f"DESCRIBE TABLE {self._spans}").rows
            self._table = table_of(self._spans, described)
        return self._table

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT of the view `spans`, of what began in the *window* only."""
        return self.table.spans_sql(window)

    def query(self, sql: str) -> Answer:
        """Return what *sql* selects."""
        return self._connection.query(sql)

    def batches(self, sql: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that *sql* selects, some at a time."""
        return self._connection.batches(sql)

    @property
    def is_asked(self) -> bool:
        """Whether a thread is waiting for the answer to a query."""
        return self._connection.is_asked

    def share_done(self) -> float:
        """Return which share of the query is done that another thread waits for; 0 if unknown."""
        return self._connection.share_done()

    def cancel(self) -> None:
        """Stop the queries that other threads are waiting for."""
        self._connection.cancel()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def has_tables(self) -> bool:
        """Whether all of clew's tables are there."""
        return self._tables() >= TABLES.keys()

    def table_statements(self) -> Sequence[str]:
        """Return the statements that create clew's tables."""
        return table_statements(self._database)

    def execute(self, statement: str) -> None:
        """Run a statement that selects nothing."""
        self._connection.execute(statement)

    def now_ns(self) -> int:
        """Return the time by the server's clock."""
        return int(self.query("SELECT toUnixTimestamp64Nano(now64(9)) AS now").rows[0][0])

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to one of clew's tables."""
        name = f"{quoted(self._database)}.{quoted(table)}"
        for block in _blocks(rows):
            self._connection.insert(name, types_of(table), block)

    def insert_spans(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to the table of spans, with those of its columns that it has."""
        known = self.table.columns
        for block in _blocks(rows):
            types = {name: known[name] for name in block[0] if name in known}
            self._connection.insert(self._spans, types, block)

    def insert_records(self, spans: Sequence[SpanRecord]) -> None:
        """Add spans to their table, as the Collector would have written them there."""
        table = self.table
        rows = []
        for span in spans:
            row = row_of(span, with_types=table.is_json)
            if "ScopeName" not in table.columns and row["ScopeName"]:
                row["SpanAttributes"]["otel.scope.name"] = row["ScopeName"]
                row["SpanAttributes"]["otel.scope.version"] = row["ScopeVersion"]
            row["ResourceAttributesKeys"] = list(row["ResourceAttributes"])
            row["SpanAttributesKeys"] = list(row["SpanAttributes"])
            rows.append(row)
        self.insert_spans(rows)

    def stored(self, spans: Sequence[SpanRecord]) -> set[tuple[str, str]]:
        """Return the ids of those of *spans* that are in the table already."""
        if not spans:
            return set()
        end = max(it.start for it in spans) + 10**9  # What is before 1678 may be rounded.
        # After the latest time there is none that could be a limit.
        window = Window(min(it.start for it in spans), end if end in INT64 else None)
        ids = ", ".join(f"('{it.trace_id.hex()}', '{it.span_id.hex()}')" for it in spans)
        sql = (
            f"SELECT DISTINCT TraceId, SpanId FROM {self._spans}{where(window)} "
            f"AND (TraceId, SpanId) IN ({ids})"
        )
        return {(trace, span) for trace, span in self.query(sql).rows}

    def make_table(self) -> None:
        """Make the table of spans where there is none, as the Collector does."""
        if self._address.table not in self._tables():
            for statement in collector_statements(self._database, self._address.table):
                self.execute(statement)

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block without effect: each insert of a block of rows is visible at once."""
        return nullcontext()

    def delete(self, table: str, column: str, values: Sequence[str | int]) -> None:
        """Delete rows of one of clew's tables."""
        self._delete(table, column, values)

    def delete_spans(self, trace_ids: Sequence[str]) -> None:
        """Delete the spans of these traces, here and where the Collector notes their times."""
        times = TIMES.format(self._address.table)
        self._delete(self._address.table, "TraceId", trace_ids)
        if times in self._tables():
            self._delete(times, "TraceId", trace_ids)

    def _delete(self, table: str, column: str, values: Sequence[str | int]) -> None:
        where = f"database = {literal(self._database)} AND name = {literal(table)}"
        found = self.query(f"SELECT engine FROM system.tables WHERE {where}").rows
        kind = found[0][0] if found else "unknown"
        if "MergeTree" not in kind:
            message = (
                f"ClickHouse cannot delete from {table}, whose engine is {kind}: delete in the "
                "table that it stands for"
            )
            raise UnsupportedError(message)
        for start in range(0, len(values), _PER_STATEMENT):
            chosen = ", ".join(map(literal, values[start : start + _PER_STATEMENT]))
            name = f"{quoted(self._database)}.{quoted(table)}"
            self.execute(f"DELETE FROM {name} WHERE {quoted(column)} IN ({chosen})")

    def _tables(self) -> set[str]:
        database = literal(self._database)
        sql = f"SELECT name FROM system.tables WHERE database = {database}"
        return {name for (name,) in self.query(sql).rows}


def open_engine(url: str) -> ClickHouseEngine:
    """Open the ClickHouse at *url*."""
    address = address_of(url)
    connection: Connection
    if address.folder is not None:
        from clew.sessions.engines.clickhouse_chdb import ChdbConnection

        try:
            connection = ChdbConnection(address)
        except ImportError as error:
            message = f"{address.label} needs {error.name}; {PIP_LINE}"
            raise EngineError(message) from error
    else:
        from clew.sessions.engines.clickhouse_http import HttpConnection

        connection = HttpConnection(address)
    return ClickHouseEngine(address, connection)


def _blocks(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield *rows* in blocks that fit into memory twice, whatever is in them."""
    block: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        block.append(row)
        size += sum(len(it) for it in row.values() if isinstance(it, str | dict))
        if len(block) == _ROWS_PER_INSERT or size > _TEXT_PER_INSERT:
            yield block
            block, size = [], 0
    if block:
        yield block
