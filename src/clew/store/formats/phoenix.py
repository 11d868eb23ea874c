"""Reads spans as Phoenix's client returns them, each a dictionary or a row of a data frame.

Phoenix keeps no resource, no scope and no kind of OpenTelemetry's: they are empty. It nests what
attributes like `llm.input_messages.0.message.role` number; here they are as they were recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clew.store.formats.cells import as_json, id_of, is_missing, nanoseconds, text_of, value_of
from clew.store.otlp.json_decoder import parse_json
from clew.store.record import Event, SpanRecord, Value

_PREFIX = "attributes."
_KIND = "openinference.span.kind"
_UNSPECIFIED = 0
_STATUSES = {"OK": 1, "ERROR": 2}
# What OpenInference has as JSON texts, and Phoenix parses.
_JSON_TEXTS = ("metadata", "llm.prompt_template.variables", "tool.parameters")
_COUNTS = "llm.token_count."


def is_span(row: Mapping[str, Any]) -> bool:
    """Whether *row* is a span of Phoenix."""
    return "context.span_id" in row or (
        isinstance(row.get("context"), Mapping) and "span_kind" in row
    )


def record_of(row: Mapping[str, Any]) -> SpanRecord:
    """Return the span in *row*; raise MalformedError if it cannot be used."""
    inside = row.get("context")
    context = inside if isinstance(inside, Mapping) else {}
    parent = row.get("parent_id")
    start = nanoseconds(row.get("start_time"), "start_time")
    end = row.get("end_time")
    return SpanRecord(
        trace_id=id_of(row.get("context.trace_id", context.get("trace_id")), "the trace id", 16),
        span_id=id_of(row.get("context.span_id", context.get("span_id")), "the span id", 8),
        parent_id=None if is_missing(parent) else id_of(parent, "parent_id", 8),
        name=text_of(row.get("name")),
        start=start,
        end=start if is_missing(end) else nanoseconds(end, "end_time"),
        attributes=_attributes(row),
        kind=_UNSPECIFIED,
        status=_STATUSES.get(text_of(row.get("status_code")), 0),
        status_message=text_of(row.get("status_message")),
        events=tuple(_events(row.get("events"))),
    )


def _attributes(row: Mapping[str, Any]) -> dict[str, Value]:
    inside = row.get("attributes")
    if isinstance(inside, Mapping):
        attributes = dict(_with_json_texts(inside))
    else:
        attributes = {}
        for column, value in row.items():
            if column.startswith(_PREFIX) and not is_missing(value):
                attributes.update(_flat(column.removeprefix(_PREFIX), value))
    kind = row.get("span_kind")
    if not is_missing(kind) and kind != "UNKNOWN":
        attributes.setdefault(_KIND, text_of(kind))
    return attributes


def _flat(key: str, value: Any) -> Iterator[tuple[str, Value]]:
    """Yield the attributes that Phoenix has nested under *key*."""
    if value is None:  # Parquet has the same keys in all maps of a column.
        return
    if isinstance(value, Mapping):
        if key.endswith(_JSON_TEXTS):
            yield key, as_json(value)
        else:
            for name, each in value.items():
                yield from _flat(f"{key}.{name}", each)
    elif _is_sequence(value) and any(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value):
            yield from _flat(f"{key}.{number}", each)
    elif key.startswith(_COUNTS) and isinstance(value, float) and value.is_integer():
        yield key, int(value)  # A column of a data frame in which some rows have none.
    else:
        yield key, value_of(value)


def _with_json_texts(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """Yield *attributes* with what `get_spans` has flattened of JSON texts as JSON texts again."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        for name in _JSON_TEXTS:
            before, found, path = key.partition(f"{name}.")
            if found and (not before or before.endswith(".")):
                _put(nested.setdefault(before + name, {}), path.split("."), value)
                break
        else:
            yield key, value_of(value)
    for key, value in nested.items():
        yield key, as_json(value)


def _put(into: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        into = inner
    into[path[-1]] = value


def _events(events: Any) -> Iterator[Event]:
    if isinstance(events, str):
        events = parse_json(events or "[]")
    for event in events if _is_sequence(events) else ():
        if isinstance(event, Mapping):
            inside = event.get("attributes")
            attributes = inside if isinstance(inside, Mapping) else {}
            yield Event(
                text_of(event.get("name")),
                nanoseconds(event.get("timestamp"), "the timestamp of an event"),
                {key: value_of(each) for key, each in attributes.items() if each is not None},
            )


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
