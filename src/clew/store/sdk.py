"""Converts the SDK's spans to SpanRecords."""

from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.trace import SpanKind, StatusCode

from clew.store.record import Event, Link, Resource, Scope, SpanRecord, Value

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource as SdkResource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

D = TypeVar("D")

# Bit 8 says that it is known whether the parent is remote, bit 9 that it is.
_LOCAL_PARENT, _REMOTE_PARENT = 0x100, 0x300
_MOST_KNOWN = 256
_MIN_TIME, _MAX_TIME = -(2**63), 2**63 - 1
"""The earliest and the latest time that the store and all formats have, in nanoseconds."""
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
    name, events, links, kind = span.name, span.events, span.links, span.kind
    start, end, code = span.start_time, span.end_time, status.status_code
    # The SDK takes whatever it is given for a name, a kind, a status and a time.
    if not (type(start) is type(end) is int and _MIN_TIME <= start <= end <= _MAX_TIME):
        start, end = _times(start, end)
    return SpanRecord(
        context.trace_id.to_bytes(16, "big"),
        context.span_id.to_bytes(8, "big"),
        None if parent is None else parent.span_id.to_bytes(8, "big"),
        name if type(name) is str else str(name),
        start,
        end,
        _attributes(span.attributes),
        kind.value + 1 if type(kind) is SpanKind else 0,
        code.value if type(code) is StatusCode else 0,
        status.description or "",
        tuple([_event(it, start) for it in events]) if events else (),
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


def _times(start: object, end: object) -> tuple[int, int]:
    """Return a span's times, each where only the other can be used as that one."""
    first = _time(start, None if start is not None else 0)
    last = _time(end, None if end is not None else 0)
    if first is None:
        return last or 0, last or 0
    return first, first if last is None else last


def _time(value: Any, default: D) -> int | D:
    """Return *value* in nanoseconds, or *default* if it is none, as a text or a date is."""
    if isinstance(value, int | float) and _MIN_TIME <= value <= _MAX_TIME:
        return int(value)
    return default


def _event(event: Any, start: int) -> Event:
    return Event(
        str(event.name),
        _time(event.timestamp, start),
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
