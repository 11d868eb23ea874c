"""The Collector's table `otel_traces` in the forms that its ClickHouse exporter has made.

What differs is what clew has to find out: see `FORMS`.
"""

from clew.sessions.engines.collector_rows import row_of, texts
from clew.store.record import KINDS

MAP = "Map(LowCardinality(String), String)"
FEW = "LowCardinality(String)"
_NESTED = (
    "Events Nested (Timestamp DateTime64(9), Name {few}, Attributes {attributes}), "
    "Links Nested (TraceId String, SpanId String, TraceState String, Attributes {attributes})"
)
_BLOOM = "TYPE bloom_filter(0.01) GRANULARITY 1"
_MAP_INDEXES = ", ".join(
    f"INDEX idx_{name} {of} {_BLOOM}"
    for name, of in (
        ("trace_id", "TraceId"),
        ("res_attr_key", "mapKeys(ResourceAttributes)"),
        ("res_attr_value", "mapValues(ResourceAttributes)"),
        ("span_attr_key", "mapKeys(SpanAttributes)"),
        ("span_attr_value", "mapValues(SpanAttributes)"),
    )
)
_ITEMS = (
    "Array(String) ALIAS arrayMap(kv -> concat(kv.1, '=', kv.2), "
    "CAST({column}, 'Array(Tuple(String, String))'))"
)
_TEXT = "TYPE text(tokenizer = 'array')"


def _table(attributes, *, scope, duration, further, order, primary=""):
    columns = ", ".join(
        (
            "Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1))",
            "TraceId String CODEC(ZSTD(1))",
            "SpanId String CODEC(ZSTD(1))",
            "ParentSpanId String CODEC(ZSTD(1))",
            "TraceState String CODEC(ZSTD(1))",
            f"SpanName {FEW} CODEC(ZSTD(1))",
            f"SpanKind {FEW} CODEC(ZSTD(1))",
            f"ServiceName {FEW} CODEC(ZSTD(1))",
            f"ResourceAttributes {attributes} CODEC(ZSTD(1))",
            *(
                ("ScopeName String CODEC(ZSTD(1))", "ScopeVersion String CODEC(ZSTD(1))")
                if scope
                else ()
            ),
            f"SpanAttributes {attributes} CODEC(ZSTD(1))",
            f"Duration {duration} CODEC(ZSTD(1))",
            f"StatusCode {FEW} CODEC(ZSTD(1))",
            "StatusMessage String CODEC(ZSTD(1))",
            _NESTED.format(few=FEW, attributes=attributes),
            *further,
            "INDEX idx_duration Duration TYPE minmax GRANULARITY 1",
        )
    )
    return (
        f"CREATE TABLE otel_traces ({columns}) ENGINE = MergeTree PARTITION BY toDate(Timestamp) "
        f"{primary} ORDER BY {order} SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
    )


_SORTED = "(ServiceName, SpanName, toDateTime(Timestamp), Timestamp)"
FORMS = {
    # 2022: the scope is among the attributes, kinds and statuses have prefixes, Duration a sign.
    "first": _table(
        MAP,
        scope=False,
        duration="Int64",
        further=(_MAP_INDEXES,),
        order="(ServiceName, SpanName, toUnixTimestamp(Timestamp), TraceId)",
    ),
    # 2024: what most companies have.
    "map": _table(
        MAP,
        scope=True,
        duration="UInt64",
        further=(_MAP_INDEXES,),
        order="(ServiceName, SpanName, toDateTime(Timestamp))",
    ),
    # 2026: columns that are computed from the attributes, with indexes of their texts.
    "text-index": _table(
        MAP,
        scope=True,
        duration="UInt64",
        further=(
            f"ResourceAttributeItems {_ITEMS.format(column='ResourceAttributes')}",
            f"SpanAttributeItems {_ITEMS.format(column='SpanAttributes')}",
            f"INDEX idx_trace_id TraceId {_TEXT}",
            f"INDEX idx_res_attr_items ResourceAttributeItems {_TEXT}",
            f"INDEX idx_span_attr_key mapKeys(SpanAttributes) {_TEXT}",
            f"INDEX idx_span_attr_items SpanAttributeItems {_TEXT}",
            "INDEX idx_lower_span_name lower(SpanName) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8",
        ),
        primary="PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp))",
        order=_SORTED,
    ),
    # With ``json: true``: numbers, truths and lists are kept; the names of attributes become paths.
    "json": _table(
        "JSON",
        scope=True,
        duration="UInt64",
        further=(
            f"ResourceAttributesKeys Array({FEW}) CODEC(ZSTD(1))",
            f"SpanAttributesKeys Array({FEW}) CODEC(ZSTD(1))",
            f"INDEX idx_span_attr_keys SpanAttributesKeys {_BLOOM}",
        ),
        order=_SORTED,
    ),
}
_PREFIXED = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")


def row_in(form, span):
    """Return the row of a span in one of the `FORMS`, by its columns."""
    row = row_of(span, with_types=form == "json")
    if form == "json":
        row["ResourceAttributesKeys"] = sorted(span.resource.attributes)
        row["SpanAttributesKeys"] = sorted(texts(span.attributes))
    if form == "first":
        for name in ("ScopeName", "ScopeVersion"):
            said = row.pop(name)
            if said:
                row["SpanAttributes"][f"otel.scope.{name[5:].lower()}"] = said
        row["SpanKind"] = f"SPAN_KIND_{KINDS[span.kind]}"
        row["StatusCode"] = _PREFIXED[span.status]
        row["Duration"] = span.end - span.start
    return row
