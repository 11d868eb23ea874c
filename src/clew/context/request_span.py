"""The span of a request or a message, which gets its ids after it was started.

It starts before the session is known, and gets the ids when a block is entered further down. This
is for SERVER and CONSUMER spans without a local parent, never for an INTERNAL one, under which a
job may handle many sessions.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, get_current_span

from clew.context.dropped_sessions import is_of_dropped_session
from clew.context.ids import IDS, SESSION_ID, USER_ID, default_ids, id_attributes
from clew.core.containment import contain

INBOUND = "clew.inbound"
"""The context key of the ids that a request brought from another service, by their keys."""

_SERVER, _CONSUMER = SpanKind.SERVER, SpanKind.CONSUMER
_IDS = frozenset(IDS)

_any_seen = False
"""Whether this process ever started such a span. If not, nothing here takes any time."""


def link_request_span(span: Any, parent_context: Context | None) -> bool:
    """Remember on *span*, which starts now, the request's span above it; whether it is one itself.

    It is remembered on the span because nothing else leads there exactly: a trace may have several
    open request spans in one process, and a thread may take over the context without its variables.
    """
    global _any_seen  # It only ever becomes true
    kind = span.kind
    of_request = kind is _SERVER or kind is _CONSUMER
    if not of_request and not _any_seen:
        return False
    parent = span.parent
    if parent is None or parent.is_remote:
        if not of_request:
            return False
        _any_seen = span.clew_request_span = True
        if parent_context is not None and (ids := parent_context.get(INBOUND)):
            span.clew_inbound = ids
        return True
    if _any_seen:
        above = get_current_span(parent_context)
        request_span = getattr(above, "clew_request_span", None)
        if request_span is not None:
            span.clew_request_span = above if request_span is True else request_span
    return False


def add_ids_to_request_span(context: Context, changes: Mapping[str, object]) -> None:
    """Set the ids of *context*, which is entered now, on the request's span above it.

    Only ids that it does not have yet; and none if it belongs to another session or user.
    """
    if not _any_seen or _IDS.isdisjoint(changes):
        return
    try:
        span: Any = get_current_span(context)
        request_span = getattr(span, "clew_request_span", None)
        request_span = span if request_span is True else request_span
        if request_span is None or not request_span.is_recording():
            return
        try:
            ids = id_attributes(context.get(SESSION_ID), context.get(USER_ID)).attributes
        except TypeError:  # A value that cannot be hashed cannot be cached.
            ids = id_attributes.__wrapped__(
                context.get(SESSION_ID), context.get(USER_ID)
            ).attributes
        if is_of_dropped_session(ids):
            return
        own = application_attributes(request_span)
        if default := default_ids().attributes:
            own = {key: value for key, value in own.items() if default.get(key) != value}
        if all(own.get(key, value) == value for key, value in ids.items()):
            for key, value in ids.items():
                if key not in own:
                    request_span.set_attribute(key, value)
    except Exception:
        contain("setting the ids on the span of a request")


def application_attributes(span: Any) -> Mapping[str, object]:
    """Return the attributes of *span*, less the ids that only the request has brought.

    What the application says about a request, which comes later, takes precedence over those. A
    span of another library may have no attributes that can be read.
    """
    attributes = getattr(span, "clew_kept", None) or getattr(span, "attributes", None) or {}
    if not (inbound := getattr(span, "clew_inbound", None)):
        return attributes
    return {key: value for key, value in attributes.items() if inbound.get(key) != value}
