"""Converts between OTLP's protobuf messages and SpanRecords, both ways without loss.

What a SpanRecord has no place for is left out: a resource's references to entities, which are "in
development" in OTLP, and all but the last of several attributes with one key, which it forbids.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from clew.store.otlp.grouping import grouped
from clew.store.otlp.limits import (
    INT64,
    MAX_DEPTH,
    MalformedError,
    as_text,
    encodable,
    parent_or_none,
    time_in_range,
)
from clew.store.record import Attributes, Event, Link, Resource, Scope, SpanRecord, Value


def from_protobuf(body: bytes) -> list[SpanRecord]:
    """Return the spans of an encoded ExportTraceServiceRequest."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        message = f"not an ExportTraceServiceRequest in protobuf: {error}"
        raise MalformedError(message) from error
    return records_of(request)


def to_protobuf(records: Iterable[SpanRecord]) -> bytes:
    """Return *records* as an encoded ExportTraceServiceRequest."""
    encoded: bytes = request_of(records).SerializeToString()
    return encoded


def records_of(request: ExportTraceServiceRequest) -> list[SpanRecord]:
    """Return the spans of *request*, in its order."""
    records = []
    for of_resource in request.resource_spans:
        resource = Resource(
            attributes=_attributes(of_resource.resource.attributes),
            schema_url=of_resource.schema_url,
            dropped_attributes=of_resource.resource.dropped_attributes_count,
        )
        for of_scope in of_resource.scope_spans:
            scope = Scope(
                name=of_scope.scope.name,
                version=of_scope.scope.version,
                attributes=_attributes(of_scope.scope.attributes) or None,
                schema_url=of_scope.schema_url,
                dropped_attributes=of_scope.scope.dropped_attributes_count,
            )
            records += [_record(span, resource, scope) for span in of_scope.spans]
    return records


def request_of(records: Iterable[SpanRecord]) -> ExportTraceServiceRequest:
    """Return a request with *records*, grouped by resource and scope."""
    request = ExportTraceServiceRequest()
    for resource, scopes in grouped(records):
        of_resource = request.resource_spans.add(
            resource=resource_pb2.Resource(
                attributes=_key_values(resource.attributes),
                dropped_attributes_count=resource.dropped_attributes,
            ),
            schema_url=encodable(resource.schema_url),
        )
        for scope, spans in scopes:
            of_resource.scope_spans.add(
                scope=InstrumentationScope(
                    name=encodable(scope.name),
                    version=encodable(scope.version),
                    attributes=_key_values(scope.attributes or {}),
                    dropped_attributes_count=scope.dropped_attributes,
                ),
                spans=[_span(record) for record in spans],
                schema_url=encodable(scope.schema_url),
            )
    return request


def _record(span: trace_pb2.Span, resource: Resource, scope: Scope) -> SpanRecord:
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=parent_or_none(span.parent_span_id),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        kind=span.kind,
        status=span.status.code,
        status_message=span.status.message,
        events=tuple(
            [
                Event(
                    it.name,
                    it.time_unix_nano,
                    _attributes(it.attributes),
                    it.dropped_attributes_count,
                )
                for it in span.events
            ]
        ),
        links=tuple(
            [
                Link(
                    it.trace_id,
                    it.span_id,
                    _attributes(it.attributes),
                    it.trace_state,
                    it.flags,
                    it.dropped_attributes_count,
                )
                for it in span.links
            ]
        ),
        resource=resource,
        scope=scope,
        trace_state=span.trace_state,
        flags=span.flags,
        dropped_attributes=span.dropped_attributes_count,
        dropped_events=span.dropped_events_count,
        dropped_links=span.dropped_links_count,
    )


def _attributes(key_values: Iterable[KeyValue]) -> dict[str, Value]:
    # Reading a field of a message is what takes the time here. Most values are texts, and one that
    # is not empty says by itself which of the fields is set.
    return {it.key: it.value.string_value or _other(it.value) for it in key_values}


def _other(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple([it.string_value or _other(it) for it in value.array_value.values])
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind in {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}:
        read: Value = getattr(value, kind)
        return read
    return None


def _span(record: SpanRecord) -> trace_pb2.Span:
    return trace_pb2.Span(
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_span_id=record.parent_id or b"",
        name=encodable(record.name),
        start_time_unix_nano=time_in_range(record.start),
        end_time_unix_nano=time_in_range(record.end),
        attributes=_key_values(record.attributes),
        kind=record.kind,  # type: ignore[arg-type] # OTLP may have kinds that are newer than these
        status=trace_pb2.Status(
            code=record.status,  # type: ignore[arg-type] # as the kind
            message=encodable(record.status_message),
        ),
        events=[
            trace_pb2.Span.Event(
                name=encodable(it.name),
                time_unix_nano=time_in_range(it.time),
                attributes=_key_values(it.attributes),
                dropped_attributes_count=it.dropped_attributes,
            )
            for it in record.events
        ],
        links=[
            trace_pb2.Span.Link(
                trace_id=it.trace_id,
                span_id=it.span_id,
                attributes=_key_values(it.attributes),
                trace_state=encodable(it.trace_state),
                flags=it.flags,
                dropped_attributes_count=it.dropped_attributes,
            )
            for it in record.links
        ],
        trace_state=encodable(record.trace_state),
        flags=record.flags,
        dropped_attributes_count=record.dropped_attributes,
        dropped_events_count=record.dropped_events,
        dropped_links_count=record.dropped_links,
    )


def _key_values(attributes: Attributes, depth: int = 0) -> list[KeyValue]:
    return [
        KeyValue(key=encodable(key), value=_any_value(value, depth))
        for key, value in attributes.items()
    ]


def _any_value(value: Any, depth: int) -> AnyValue:  # noqa: PLR0911 - one for each type
    if isinstance(value, str):
        return AnyValue(string_value=encodable(value))
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and value in INT64:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return AnyValue(kvlist_value=KeyValueList(values=_key_values(value, depth + 1)))
        if isinstance(value, Sequence):
            values = [_any_value(it, depth + 1) for it in value]
            return AnyValue(array_value=ArrayValue(values=values))
    return AnyValue(string_value=as_text(value))
