"""Writes OTLP/JSON without loss."""

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clew.store.otlp.grouping import grouped
from clew.store.otlp.limits import INT64, MAX_DEPTH, as_text, encodable, time_in_range
from clew.store.record import Attributes, SpanRecord


def to_json(records: Iterable[SpanRecord]) -> bytes:
    """Return *records* as an ExportTraceServiceRequest in JSON, on one line without its end."""
    return b"".join(json_pieces([records]))


def json_pieces(batches: Iterable[Iterable[SpanRecord]]) -> Iterator[bytes]:
    """Yield the pieces of one request with the records of all *batches*, each when it is reached.

    A resource is repeated for each batch in which there are spans of it.
    """
    before = b'{"resourceSpans":['
    for batch in batches:
        for group in _groups(batch):
            text = json.dumps(group, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            yield before + encodable(text).encode()
            before = b","
    yield b"]}" if before == b"," else before + b"]}"


def _groups(records: Iterable[SpanRecord]) -> list[dict[str, Any]]:
    return [
        _filled(
            resource=_filled(
                attributes=_key_values(resource.attributes),
                droppedAttributesCount=resource.dropped_attributes,
            ),
            scopeSpans=[
                _filled(
                    scope=_filled(
                        name=scope.name,
                        version=scope.version,
                        attributes=_key_values(scope.attributes or {}),
                        droppedAttributesCount=scope.dropped_attributes,
                    ),
                    spans=[_span(record) for record in spans],
                    schemaUrl=scope.schema_url,
                )
                for scope, spans in scopes
            ],
            schemaUrl=resource.schema_url,
        )
        for resource, scopes in grouped(records)
    ]


def _filled(**fields: Any) -> dict[str, Any]:
    """Return *fields* without those that have their default."""
    return {name: value for name, value in fields.items() if value}


def _span(record: SpanRecord) -> dict[str, Any]:
    return _filled(
        traceId=record.trace_id.hex(),
        spanId=record.span_id.hex(),
        traceState=record.trace_state,
        parentSpanId=(record.parent_id or b"").hex(),
        flags=record.flags,
        name=record.name,
        kind=record.kind,
        startTimeUnixNano=str(time_in_range(record.start)),
        endTimeUnixNano=str(time_in_range(record.end)),
        attributes=_key_values(record.attributes),
        droppedAttributesCount=record.dropped_attributes,
        events=[
            _filled(
                timeUnixNano=str(time_in_range(it.time)),
                name=it.name,
                attributes=_key_values(it.attributes),
                droppedAttributesCount=it.dropped_attributes,
            )
            for it in record.events
        ],
        droppedEventsCount=record.dropped_events,
        links=[
            _filled(
                traceId=it.trace_id.hex(),
                spanId=it.span_id.hex(),
                traceState=it.trace_state,
                attributes=_key_values(it.attributes),
                droppedAttributesCount=it.dropped_attributes,
                flags=it.flags,
            )
            for it in record.links
        ],
        droppedLinksCount=record.dropped_links,
        status=_filled(message=record.status_message, code=record.status),
    )


def _key_values(attributes: Attributes, depth: int = 0) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value, depth)} for key, value in attributes.items()]


def _any_value(value: Any, depth: int) -> dict[str, Any]:  # noqa: PLR0911 - one for each type
    if isinstance(value, str):
        return {"stringValue": value}
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in INT64:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _name(value)}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {"kvlistValue": {"values": _key_values(value, depth + 1)}}
        if isinstance(value, Sequence):
            return {"arrayValue": {"values": [_any_value(it, depth + 1) for it in value]}}
    return {"stringValue": as_text(value)}


def _name(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
