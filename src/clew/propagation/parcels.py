"""What of a context goes into another process: what a span carries, and the span it is under.

A context itself cannot go: it holds live spans and blocks. What goes is plain text and numbers.
"""

from collections.abc import Mapping
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from clew.context import carried
from clew.identity import CARRIED, Pseudonym
from clew.streams import Held

Attributes = Mapping[str, AttributeValue]
Parent = tuple[int, int, int, tuple[tuple[str, str], ...]]


class Parcel(NamedTuple):
    """What is sent."""

    said: Attributes
    """What the context says; a user id that is a pseudonym says so by its type."""
    inherited: Attributes
    """Ids that only the parent span has, and which a framework's own may replace."""
    parent: Parent | None


class ParentElsewhere(NonRecordingSpan):
    """The parent span in another process, and the ids that its children inherit from it."""

    def __init__(self, context: SpanContext, inherited: Attributes) -> None:
        super().__init__(context)
        self.clew_kept = inherited


def packed(context: Context) -> Parcel:
    """Return what *context* is to be in another process."""
    attributes, inherited = Held(context).run(carried)
    sendable = {key: _sendable(attributes[key]) for key in CARRIED if key in attributes}
    return Parcel(
        {key: value for key, value in sendable.items() if value and key not in inherited},
        {key: value for key, value in sendable.items() if value and key in inherited},
        _parent(get_current_span(context).get_span_context()),
    )


def _parent(span: SpanContext) -> Parent | None:
    if not span.is_valid:
        return None
    return span.trace_id, span.span_id, int(span.trace_flags), tuple(span.trace_state.items())


def _sendable(value: AttributeValue) -> AttributeValue | None:
    """Return *value* as bare text: what others put into a context may not bear pickling."""
    if isinstance(value, Pseudonym):
        return value
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, list | tuple):
        return ["".join(item) for item in value if isinstance(item, str)]
    return None


def unpacked(parcel: Parcel) -> Context:
    """Return the context that *parcel* tells of. It is built on nothing that is here already."""
    context = Context(dict(parcel.said))
    if parcel.parent is None:
        return context
    trace_id, span_id, flags, state = parcel.parent
    span = SpanContext(
        trace_id,
        span_id,
        is_remote=True,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState(list(state)),
    )
    return set_span_in_context(ParentElsewhere(span, parcel.inherited), context)
