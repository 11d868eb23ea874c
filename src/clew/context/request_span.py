"""The span that a request or a message was opened with, and how it learns its ids late.

It is opened before anybody knows the session. So it is told when a block is entered further down:
a SERVER or CONSUMER span without a local parent, never an INTERNAL one, under which a job may
handle many sessions.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, get_current_span

from clew.context.identity import IDS, SESSION_ID, USER_ID, carried_ids, default_ids
from clew.core.containment import contain

INBOUND = "clew.inbound"
"""In a context: the ids that a request has brought from another service, by their keys."""

_KINDS = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_IDS = frozenset(IDS)

_any_seen = False
"""Whether this process has ever opened such a span. One that has not pays for none of this."""


def know_root(span: Any, parent_context: Context | None) -> bool:
    """Let *span*, which starts now, know the root that it is under; whether it is one itself.

    A span holds its root itself, because nothing else leads there exactly: a trace may have several
    open roots in one process, and a thread may take along the context without its variables.
    """
    global _any_seen  # It only ever becomes true
    parent = span.parent
    if parent is None or parent.is_remote:
        if span.kind not in _KINDS:
            return False
        _any_seen = span.clew_root = True
        if parent_context is not None and (ids := parent_context.get(INBOUND)):
            span.clew_inbound = ids
        return True
    if _any_seen:
        above = get_current_span(parent_context)
        root = getattr(above, "clew_root", None)
        if root is not None:
            span.clew_root = above if root is True else root
    return False


def tell_root(context: Context, changes: Mapping[str, object]) -> None:
    """Give the ids of *context*, which is entered now, to the root that it is under.

    Only what the root does not say; and nothing where it belongs to another session or user.
    """
    if not _any_seen or _IDS.isdisjoint(changes):
        return
    try:
        span: Any = get_current_span(context)
        root = getattr(span, "clew_root", None)
        root = span if root is True else root
        if root is None or not root.is_recording():
            return
        try:
            ids = carried_ids(context.get(SESSION_ID), context.get(USER_ID)).attributes
        except TypeError:  # What others put there may not be hashable.
            ids = carried_ids.__wrapped__(context.get(SESSION_ID), context.get(USER_ID)).attributes
        said = said_by_the_application(root)
        if default := default_ids().attributes:
            said = {key: value for key, value in said.items() if default.get(key) != value}
        if all(said.get(key, value) == value for key, value in ids.items()):
            for key, value in ids.items():
                if key not in said:
                    root.set_attribute(key, value)
    except Exception:
        contain("stamping the span of a request")


def said_by_the_application(span: Any) -> Mapping[str, object]:
    """Return what *span* says, less the ids that only the request has brought.

    The application's own word on a request, which comes later, counts more. A span of another make
    may not tell what it says.
    """
    said = getattr(span, "clew_kept", None) or getattr(span, "attributes", None) or {}
    if not (brought := getattr(span, "clew_inbound", None)):
        return said
    return {key: value for key, value in said.items() if brought.get(key) != value}
