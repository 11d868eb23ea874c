"""The tables that clew keeps in ClickHouse, and the Collector's table where there is none yet."""

from collections.abc import Sequence

from clew.sessions.engines.collector_table import quoted
from clew.sessions.engines.schema import TABLES, Column

_ORDERS = {
    "clew_part": ("part", "batch"),
    "clew_part_trace": ("trace_id", "part", "batch"),
    "clew_trace": ("day", "trace_id", "made_ns"),
    "clew_turn": ("session_id", "part", "batch", "start_ns", "trace_id", "root_id"),
    "clew_session": ("session_id", "batch"),
    "clew_session_value": ("kind", "value", "last_ns", "session_id"),
    "clew_user_session": ("user_id", "session_id", "batch"),
    "clew_evaluations": ("session_id", "id"),
    "clew_carried": ("part", "batch", "session_id", "id"),
    "clew_evaluation_errors": ("session_id", "name", "made_ns"),
    "clew_claims": ("hash_range", "name", "claim"),
}
"""By what the rows of each table are sorted: by what is asked for first."""
_TTL = {"clew_claims": "\nTTL toDateTime(intDiv(made_ns, 1000000000)) + INTERVAL 1 DAY"}
"""After which time ClickHouse itself may delete a row."""
_FEW = frozenset({"kind", "name", "annotator_kind", "identifier", "version", "label"})
"""Texts of which there are few different ones."""
_TYPES = {"text": "String", "int": "Int64", "float": "Float64"}


def table_statements(database: str) -> Sequence[str]:
    """Return the statements that create clew's tables."""
    return [_statement(database, name, columns) for name, columns in TABLES.items()]


def types_of(table: str) -> dict[str, str]:
    """Return the types of the columns of one of clew's tables."""
    return {it.name: _type(it) for it in TABLES[table]}


def _statement(database: str, name: str, columns: Sequence[Column]) -> str:
    declared = ",\n".join(f"    {it.name} {_type(it)}{_codec(it)}" for it in columns)
    order = ", ".join(_ORDERS[name])
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(database)}.{quoted(name)} (\n{declared}\n)\n"
        f"ENGINE = MergeTree\nORDER BY ({order}){_TTL.get(name, '')}"
    )


def _type(column: Column) -> str:
    kind = _TYPES[column.type]
    kind = f"Nullable({kind})" if column.null else kind
    return f"LowCardinality({kind})" if column.name in _FEW else kind


def _codec(column: Column) -> str:
    """Return how it is compressed: texts well, and times by their differences."""
    if column.type == "text":
        return " CODEC(ZSTD(1))"
    if column.name.endswith("_ns") and not column.null:
        return " CODEC(Delta, ZSTD(1))"
    return ""


_ATTRIBUTES = "Map(LowCardinality(String), String)"
COLLECTOR_TYPES = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "LowCardinality(String)",
    "SpanKind": "LowCardinality(String)",
    "ServiceName": "LowCardinality(String)",
    "ResourceAttributes": _ATTRIBUTES,
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": _ATTRIBUTES,
    "Duration": "UInt64",
    "StatusCode": "LowCardinality(String)",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9))",
    "Events.Name": "Array(LowCardinality(String))",
    "Events.Attributes": f"Array({_ATTRIBUTES})",
    "Links.TraceId": "Array(String)",
    "Links.SpanId": "Array(String)",
    "Links.TraceState": "Array(String)",
    "Links.Attributes": f"Array({_ATTRIBUTES})",
}
"""The columns of `otel_traces`, and their types where the Collector makes it today."""


TIMES = "{}_trace_id_ts"
"""What the Collector calls the table that knows from when to when a trace lasts."""
_FILLING = "{}_trace_id_ts_mv"


def collector_statements(database: str, table: str) -> Sequence[str]:
    """Return the statements that create the Collector's table, and the one beside it.

    The second table knows from when to when a trace lasts; a view fills it.
    """
    declared = ",\n".join(
        f"    {quoted(name)} {kind} CODEC({'Delta(8), ' if name == 'Timestamp' else ''}ZSTD(1))"
        for name, kind in COLLECTOR_TYPES.items()
    )
    indexes = ",\n".join(
        f"    INDEX {name} {of} TYPE bloom_filter({rate}) GRANULARITY 1"
        for name, of, rate in (
            ("idx_trace_id", "TraceId", 0.001),
            ("idx_res_attr_key", "mapKeys(ResourceAttributes)", 0.01),
            ("idx_res_attr_value", "mapValues(ResourceAttributes)", 0.01),
            ("idx_span_attr_key", "mapKeys(SpanAttributes)", 0.01),
            ("idx_span_attr_value", "mapValues(SpanAttributes)", 0.01),
        )
    )
    spans, times, view = (
        f"{quoted(database)}.{quoted(it)}"
        for it in (table, TIMES.format(table), _FILLING.format(table))
    )
    of_spans = (
        f"CREATE TABLE IF NOT EXISTS {spans} (\n{declared},\n{indexes},\n"
        "    INDEX idx_duration Duration TYPE minmax GRANULARITY 1\n)\n"
        "ENGINE = MergeTree\nPARTITION BY toDate(Timestamp)\n"
        "ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)\n"
        "SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
    )
    of_times = (
        f"CREATE TABLE IF NOT EXISTS {times} (\n"
        "    TraceId String CODEC(ZSTD(1)),\n"
        "    Start DateTime CODEC(Delta, ZSTD(1)),\n"
        "    End DateTime CODEC(Delta, ZSTD(1)),\n"
        "    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1\n)\n"
        "ENGINE = MergeTree\nPARTITION BY toDate(Start)\nORDER BY (TraceId, Start)"
    )
    filling = (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {view} TO {times} AS\n"
        "SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End\n"
        f"FROM {spans} WHERE TraceId != '' GROUP BY TraceId"
    )
    return of_spans, of_times, filling
