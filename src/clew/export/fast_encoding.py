"""Encodes spans for OTLP/HTTP in a fifth of the time that the SDK's encoder takes.

The SDK makes a protobuf message for each attribute and each value, and copies it into the span's
message, which is copied once more. Here they are made where they belong. What is encoded is equal,
which is checked with the first spans of the process and one that has everything: if it differs, as
it may with a later release of the SDK, or if something cannot be encoded, the SDK's own encoder is
used.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches

_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_COMPARED = 32
"""How many of the first spans are also encoded by the SDK."""


def encode_spans_faster(undo: UndoStack) -> None:
    """Let the OTLP/HTTP exporter, loaded now or later, use the encoder of this module."""
    patches = Patches(doing="replacing the encoder of")
    undo.add(patches.undo)
    patches.wrap(_EXPORTER, "encode_spans", _Encoder())


class _Encoder:
    """The wrapper of the SDK's ``encode_spans``."""

    def __init__(self) -> None:
        self._is_compared = False
        self._differs = False

    def __call__(
        self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            if not (self._differs or kwargs):
                (spans,) = args
                if self._is_compared or self._compare(wrapped, spans):
                    return encoded(spans)
        except (TypeError, ValueError):
            pass  # The SDK leaves out an attribute that cannot be encoded, and logs that.
        except Exception:
            contain("encoding spans")
        return wrapped(*args, **kwargs)

    def _compare(self, wrapped: Any, spans: Sequence[ReadableSpan]) -> bool:
        """Return whether the SDK encodes the first spans, and one with everything, equally."""
        few = [*islice(spans, _COMPARED), _span_with_everything()]
        if encoded(few) != wrapped(few):
            self._differs = True
        self._is_compared = True
        return not self._differs


def _span_with_everything() -> ReadableSpan:
    here = SpanContext(1, 2, is_remote=True, trace_state=TraceState([("a", "1")]))
    values: Any = {"text": "a", "truth": True, "int": 1, "float": 0.5, "texts": ("a", "b")}
    extended = {**values, "bytes": b"a", "map": {"a": 1, "b": ["c", {}]}, "empty": (), "": ""}
    scope = InstrumentationScope("scope", "1", "https://example.com/scope", values)
    return ReadableSpan(
        "span", here, parent=here, resource=Resource(values, "https://example.com"),
        attributes=extended, events=[Event("event", extended, 3)], links=[Link(here, extended)],
        kind=SpanKind.CLIENT, status=Status(StatusCode.ERROR, "no"), start_time=1, end_time=2,
        instrumentation_scope=scope,
    )  # fmt: skip


def encoded(spans: Sequence[ReadableSpan]) -> Any:
    """Return *spans* as an ``ExportTraceServiceRequest``; raise if one cannot be encoded."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # With the exporter only

    request = trace_service_pb2.ExportTraceServiceRequest()
    scopes = _Scopes(request)
    for span in spans:
        _encode(span, scopes.spans_beside(span).add())
    return request


class _Scopes:
    """The lists of spans in a request: one for each instrumentation scope of each resource."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._resources: dict[Any, Any] = {}
        self._lists: dict[tuple[Any, Any], Any] = {}
        # By their identity first: a resource computes its hash from the JSON of its attributes.
        # Both are kept beside their list, so that no other object can have their identity.
        self._known: dict[tuple[int, int], tuple[Any, Any, Any]] = {}

    def spans_beside(self, span: ReadableSpan) -> Any:
        """Return the list of the spans with the resource and the scope of *span*."""
        resource, scope = span.resource, span.instrumentation_scope or None
        known = self._known.get((id(resource), id(scope)))
        if known is not None:
            return known[2]
        spans = self._lists.get((resource, scope))
        if spans is None:
            spans = self._lists[resource, scope] = self._add(resource, scope)
        self._known[id(resource), id(scope)] = (resource, scope, spans)
        return spans

    def _add(self, resource: Any, scope: Any) -> Any:
        of_resource = self._resources.get(resource)
        if of_resource is None:
            of_resource = self._resources[resource] = self._request.resource_spans.add(
                schema_url=resource.schema_url
            )
            of_resource.resource.SetInParent()
            _add_attributes(resource.attributes, of_resource.resource.attributes)
        of_scope = of_resource.scope_spans.add(schema_url=scope.schema_url if scope else None)
        of_scope.scope.SetInParent()
        if scope is not None:
            of_scope.scope.name = scope.name
            if scope.version is not None:
                of_scope.scope.version = scope.version
            _add_attributes(scope.attributes, of_scope.scope.attributes)
        return of_scope.spans


def _encode(span: ReadableSpan, target: Any) -> None:
    context: Any = span.get_span_context()
    target.trace_id = context.trace_id.to_bytes(16, "big")
    target.span_id = context.span_id.to_bytes(8, "big")
    if context.trace_state:
        pairs = context.trace_state.items()
        target.trace_state = ",".join([f"{key}={value}" for key, value in pairs])
    target.flags = _flags(span.parent)
    if span.parent:
        target.parent_span_id = span.parent.span_id.to_bytes(8, "big")
    target.name = span.name
    target.kind = span.kind.value + 1  # In OTLP, 0 means that it is not known.
    target.start_time_unix_nano = span.start_time or 0
    target.end_time_unix_nano = span.end_time or 0
    _add_attributes(span.attributes, target.attributes)
    if span.dropped_attributes:
        target.dropped_attributes_count = span.dropped_attributes
    for event in span.events:
        of_event = target.events.add(
            name=event.name,
            time_unix_nano=event.timestamp,
            dropped_attributes_count=event.dropped_attributes,
        )
        _add_attributes(event.attributes, of_event.attributes)
    if span.dropped_events:
        target.dropped_events_count = span.dropped_events
    for link in span.links:
        of_link = target.links.add(
            trace_id=link.context.trace_id.to_bytes(16, "big"),
            span_id=link.context.span_id.to_bytes(8, "big"),
            dropped_attributes_count=link.dropped_attributes,
            flags=_flags(link.context),
        )
        _add_attributes(link.attributes, of_link.attributes)
    if span.dropped_links:
        target.dropped_links_count = span.dropped_links
    if span.status is not None:
        target.status.code = span.status.status_code.value
        target.status.SetInParent()
        if span.status.description is not None:
            target.status.message = span.status.description


def _flags(parent: Any) -> int:
    """Return that it is known whether the *parent* is in another process, and whether it is."""
    return 0x300 if parent and parent.is_remote else 0x100


def _add_attributes(attributes: Mapping[str, Any] | None, target: Any) -> None:
    for key, value in (attributes or {}).items():
        pair = target.add()
        pair.key = key
        if isinstance(value, str):
            pair.value.string_value = value
        else:
            _set_value(value, pair.value)


def _set_value(value: Any, target: Any) -> None:
    """Set the message *target* to *value*; a boolean is an integer, too, and asked for before.

    What is None is left to the SDK, whose releases differ there: older ones leave it out.
    """
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, Sequence):
        target.array_value.SetInParent()
        for each in value:
            _set_value(each, target.array_value.values.add())
    elif isinstance(value, Mapping):
        target.kvlist_value.SetInParent()
        _add_attributes({str(key): each for key, each in value.items()}, target.kvlist_value.values)
    else:
        message = f"{type(value).__name__} is no type of OTLP"
        raise TypeError(message)
