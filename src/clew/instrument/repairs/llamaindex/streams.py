"""LlamaIndex: the span of a model's stream that is not read completely has no output, or no end.

Upstream ends it when the stream is exhausted or raises. A stream that is never started does
neither, so its span stays open. One that is closed or garbage collected half-way ends as an error,
``GeneratorExit``, and what had arrived until then is lost. The repair ends the span when the stream
is collected, which is usually as soon as nothing refers to it, and shows what was read. The status
is then unset, because the call neither failed nor delivered its whole answer.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any
from weakref import finalize

from clew.core.containment import contain
from clew.instrument.repairs.statuses import StatusIgnoringSpan
from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)

_OUTPUT = "output.value"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Watch each stream, and keep the last part of it."""
    return wrap_functions(
        "openinference.instrumentation.llama_index._handler",
        {
            "_SpanHandler.prepare_to_exit_span": _prepare_to_exit_span,
            "_Span.process_event": _process_event,
            "_Span.end": _end,
        },
    )


def _prepare_to_exit_span(wrapped: Any, _handler: Any, args: Any, kwargs: Any) -> Any:
    span = wrapped(*args, **kwargs)
    try:
        stream = kwargs.get("result")
        if isinstance(stream, Generator | AsyncGenerator) and span is not None and span.active:
            finalize(stream, _end_unfinished, span)
    except Exception:
        contain("wrapping a stream")
    return span


def _end_unfinished(span: Any) -> None:
    try:
        if span.active:
            mark_unfinished(span)
            span.end()
            _end_parents(span)
    except Exception:
        contain("ending an abandoned stream")


def _end_parents(span: Any) -> None:
    from openinference.instrumentation.llama_index import (
        _handler as handler,
    )

    parent = span._parent  # Upstream's state
    while parent and parent.waiting_for_streaming:
        mark_unfinished(parent)
        parent = parent._parent
    span.notify_parent(handler._StreamingStatus.FINISHED)  # As upstream does it


def mark_unfinished(span: Any) -> None:
    """Mark upstream's *span*: the stream that it waits for was not read to its end."""
    span._clew_unfinished = True  # clew's attribute on upstream's span


def _process_event(wrapped: Any, span: Any, args: Any, kwargs: Any) -> Any:
    event = args[0] if args else kwargs.get("event")
    if type(event).__name__ in _END_EVENTS:
        span._clew_last_part = event  # clew's attribute on upstream's span
    elif isinstance(getattr(event, "exception", None), GeneratorExit):
        if span.waiting_for_streaming:
            _end_unfinished(span)
        return None
    return wrapped(*args, **kwargs)


_END_EVENTS = {
    "LLMChatInProgressEvent": "LLMChatEndEvent",
    "LLMCompletionInProgressEvent": "LLMCompletionEndEvent",
}
"""The events for a part of a stream, and the corresponding events for its end."""


def _end(wrapped: Any, span: Any, args: Any, kwargs: Any) -> Any:
    last_part = getattr(span, "_clew_last_part", None)
    try:
        if last_part is not None and span.active and _OUTPUT not in span._attributes:
            from llama_index.core.instrumentation.events import llm

            # The event for a part contains all parts before it.
            end_event = getattr(llm, _END_EVENTS[type(last_part).__name__])
            span._process_event(end_event(**dict(last_part)))  # This sets the output
    except Exception:
        contain("setting the output of an abandoned stream")
    error = args[0] if args else kwargs.get("exception")
    if error is not None or not getattr(span, "_clew_unfinished", False):
        return wrapped(*args, **kwargs)
    otel_span = span._otel_span  # Upstream's state
    try:
        span._otel_span = StatusIgnoringSpan(otel_span)
        return wrapped()
    finally:
        span._otel_span = otel_span
