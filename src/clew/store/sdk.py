"""Converts the SDK's spans to SpanRecords."""

from typing import TYPE_CHECKING, Any

from clew.store.record import Event, Link, Resource, Scope, SpanRecord, Value

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource as SdkResource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

# Bit 8 says that it is known whether the parent is remote, bit 9 that it is.
_LOCAL_PARENT, _REMOTE_PARENT = 0x100, 0x300
_MOST_KNOWN = 256
_PLAIN = frozenset({str, bool, int, float, bytes, tuple, dict, type(None)})
"""The types that values are stored as; a pseudonym, say, is of a type made from one of them."""

# What many spans share is converted once. It is kept together with what it was made of, so that its
# id cannot become that of another object: the SDK's scopes cannot be referred to weakly.
_resources: dict[int, tuple["SdkResource", Resource]] = {}
_scopes: dict[int, tuple["InstrumentationScope", Scope]] = {}
_NO_SCOPE = Scope()


def record_of(span: "ReadableSpan") -> SpanRecord:
    """Return *span*, which has ended, with everything that it was recorded with."""
    context = span.context
    if context is None:
        message = f"the span {span.name!r} has no context"
        raise ValueError(message)
    parent, status, scope = span.parent, span.status, span.instrumentation_scope
    resource, trace_state = span.resource, context.trace_state
    known_resource, known_scope = _resources.get(id(resource)), _scopes.get(id(scope))
    name, events, links = span.name, span.events, span.links
    return SpanRecord(
        context.trace_id.to_bytes(16, "big"),
        context.span_id.to_bytes(8, "big"),
        None if parent is None else parent.span_id.to_bytes(8, "big"),
        # The SDK takes whatever it is given for these three.
        name if type(name) is str else str(name),
        int(span.start_time or 0),
        int(span.end_time or 0),
        _attributes(span.attributes),
        span.kind.value + 1,
        status.status_code.value,
        status.description or "",
        tuple([_event(it) for it in events]) if events else (),
        tuple([_link(it) for it in links]) if links else (),
        known_resource[1] if known_resource else _new_resource(resource),
        known_scope[1] if known_scope else _new_scope(scope),
        trace_state.to_header() if trace_state else "",
        context.trace_flags | (_REMOTE_PARENT if parent and parent.is_remote else _LOCAL_PARENT),
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
    )


def _attributes(attributes: Any) -> dict[str, Value]:
    try:
        # The SDK's mappings copy themselves faster than they can be read.
        copied = attributes.copy()
    except AttributeError:
        copied = attributes or {}
    # In older SDKs it is an OrderedDict once attributes were dropped.
    found: dict[str, Value] = copied if type(copied) is dict else dict(copied)
    if _PLAIN.issuperset(map(type, found.values())):
        return found
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Value:
    """Return *value* as what it is made from: a member of an enumeration as its value, say."""
    if type(value) in _PLAIN:
        plain: Value = value
        return plain
    # What the type itself makes of the value: `str` of a member would be its name.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    other: Value = value
    return other


def _event(event: Any) -> Event:
    return Event(
        str(event.name),
        int(event.timestamp),
        _attributes(event.attributes),
        event.dropped_attributes,
    )


def _link(link: Any) -> Link:
    context = link.context
    return Link(
        context.trace_id.to_bytes(16, "big"),
        context.span_id.to_bytes(8, "big"),
        _attributes(link.attributes),
        context.trace_state.to_header() if context.trace_state else "",
        context.trace_flags | (_REMOTE_PARENT if context.is_remote else _LOCAL_PARENT),
        link.dropped_attributes,
    )


def _new_resource(resource: "SdkResource") -> Resource:
    new = Resource(_attributes(resource.attributes), resource.schema_url)
    if len(_resources) >= _MOST_KNOWN:
        _resources.clear()
    _resources[id(resource)] = (resource, new)
    return new


def _new_scope(scope: "InstrumentationScope | None") -> Scope:
    if scope is None:
        return _NO_SCOPE
    new = Scope(
        scope.name or "",
        scope.version or "",
        _attributes(scope.attributes) or None,
        scope.schema_url or "",
    )
    if len(_scopes) >= _MOST_KNOWN:
        _scopes.clear()
    _scopes[id(scope)] = (scope, new)
    return new
