"""The table `otel_traces` as it is found in ClickHouse, and how it becomes the view `spans`.

The OpenTelemetry Collector has made it in several forms over the years, and people change it. So
its columns are looked at, and nothing is assumed: attributes are a Map of texts or JSON, the scope
has columns of its own or is among the attributes, and some attributes may have been copied into
columns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.store.columns import COLUMNS

_NEEDED = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
)
_COPY = re.compile(r"SpanAttributes\['([^'\\]+)'\]")
_TEXTS = frozenset({"String", "LowCardinality(String)"})


class CollectorTable(NamedTuple):
    """What is known of the table."""

    name: str
    """As it is written in SQL, with its database."""
    columns: Mapping[str, str]
    """The types of its columns."""
    copies: Mapping[str, str]
    """Columns that are computed from one attribute, and stored, by the attribute's name."""

    @property
    def is_json(self) -> bool:
        """Whether attributes are JSON, and not a Map of texts."""
        return self.columns["SpanAttributes"].startswith("JSON")

    def spans_sql(self, window: Window) -> str:
        """Return the SELECT of the view `spans`: of what began in the *window* only.

        A span that an exporter has sent twice is one row. Where there is a condition on the
        session, it stands among what tells two rows apart, though it tells nothing more: so the
        condition is met before rows are compared, which takes a tenth of the time.
        """
        chosen = ",\n    ".join(f"{sql} AS {name}" for name, sql in self._selected())
        stored = f"SELECT\n    {chosen}\nFROM {self.name}{where(window)}\n"
        if window.with_copies:
            return stored
        return f"{stored}LIMIT 1 BY trace_id, span_id{', session_id' if window.by_session else ''}"

    def _selected(self) -> Iterable[tuple[str, str]]:
        found = {it.name: self._column(it.type, (it.attribute, *it.others)) for it in COLUMNS}
        start = "toUnixTimestamp64Nano(Timestamp)"
        yield "trace_id", "TraceId"
        yield "span_id", "SpanId"
        yield "parent_id", "nullIf(ParentSpanId, '')"
        yield "session_id", found.pop("session_id")
        yield "user_id", found.pop("user_id")
        yield "name", "SpanName"
        yield "kind", found.pop("openinference_kind")
        yield "start_ns", start
        yield "end_ns", f"{start} + toInt64(Duration)"
        yield "seconds", "toInt64(Duration) / 1000000000.0"
        yield "status", _one_of(_without("StatusCode", "STATUS_CODE_"), ("OK", "ERROR"), "'UNSET'")
        yield "status_message", "nullIf(StatusMessage, '')"
        yield from found.items()
        yield "service", "nullIf(ServiceName, '')"
        yield "scope", self._scope()
        yield "attributes", "toJSONString(SpanAttributes)"
        yield "span_kind", _without("SpanKind", "SPAN_KIND_")
        yield "events", self._events()
        yield "links", self._links()
        yield "resource", "toJSONString(ResourceAttributes)"

    def _column(self, kind: type, names: Sequence[str]) -> str:
        """Return the first of these attributes that is there, as a value of this type."""
        found = [self._typed(kind, self._attribute(name)) for name in names]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    @staticmethod
    def _typed(kind: type, text: str) -> str:
        if kind is int:
            return f"toInt64OrNull({text})"
        if kind is float:
            return f"nullIf(nullIf(nullIf(toFloat64OrNull({text}), inf), -inf), nan)"
        return f"nullIf({text}, '')"

    def _attribute(self, name: str) -> str:
        """Return an attribute as text: empty, or NULL, where it is missing."""
        if name in self.copies:
            return quoted(self.copies[name])
        if self.is_json:
            path = ".".join(map(quoted, name.split(".")))
            return f"CAST(SpanAttributes.{path} AS Nullable(String))"
        return f"SpanAttributes['{name}']"

    def _scope(self) -> str:
        if "ScopeName" in self.columns:
            return "nullIf(ScopeName, '')"
        return f"nullIf({self._attribute('otel.scope.name')}, '')"

    def _events(self) -> str:
        if "Events.Name" not in self.columns:
            return "CAST(NULL AS Nullable(String))"
        lists = "Events.Name, Events.Timestamp, Events.Attributes"
        each = "(n, t, a) -> tuple(n, toUnixTimestamp64Nano(t), a)"
        return f"nullIf(toJSONString(arrayMap({each}, {lists})), '[]')"

    def _links(self) -> str:
        if "Links.SpanId" not in self.columns:
            return "CAST(NULL AS Nullable(String))"
        lists = "Links.TraceId, Links.SpanId, Links.Attributes"
        return f"nullIf(toJSONString(arrayMap((t, s, a) -> tuple(t, s, a), {lists})), '[]')"


def table_of(name: str, described: Iterable[Sequence[str]]) -> CollectorTable:
    """Return what ``DESCRIBE TABLE`` says of the table: its columns, their types and defaults."""
    columns: dict[str, str] = {}
    copies: dict[str, str] = {}
    for column, kind, default, expression, *_ in described:
        columns[column] = kind
        copy = _COPY.fullmatch(expression)
        if copy and default in {"MATERIALIZED", "DEFAULT"} and kind in _TEXTS:
            copies[copy[1]] = column
    missing = [it for it in _NEEDED if it not in columns]
    if missing:
        message = (
            f"{name} is no table of the OpenTelemetry Collector: it has no column "
            f"{', '.join(missing)}. Name the table of spans in the URL, as in ?table=otel_traces"
        )
        raise EngineError(message)
    return CollectorTable(name, columns, copies)


def quoted(name: str) -> str:
    """Return a name as it is written in ClickHouse's SQL, whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(value: str | int) -> str:
    """Return a value as it is written in ClickHouse's SQL."""
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def where(window: Window) -> str:
    """Return the condition on the time, which ClickHouse knows of whole parts and granules."""
    bounds = ((window.since_ns, ">="), (window.until_ns, "<"))
    found = [
        f"Timestamp {sign} fromUnixTimestamp64Nano({bound})"
        for bound, sign in bounds
        if bound is not None
    ]
    return f"\nWHERE {' AND '.join(found)}" if found else ""


def _without(column: str, prefix: str) -> str:
    """Return the name of a kind or status: the exporter has written them in two ways."""
    return f"replaceOne(upper({column}), '{prefix}', '')"


def _one_of(sql: str, names: Sequence[str], otherwise: str) -> str:
    known = ", ".join(f"'{it}'" for it in names)
    return f"if({sql} IN ({known}), {sql}, {otherwise})"
