"""LlamaIndex: the span of a model's stream that is not read to its end has no output, or no end.

Upstream ends it when the stream is exhausted or raises. A stream that is never begun does neither,
and stays open; one that is closed or forgotten half-way ends as an error, ``GeneratorExit``, and
what had come until then is lost. The repair ends the span when the stream is collected, which for
most is as soon as they are let go, and shows what was read. Its status is then unset, because the
call did neither fail nor bring its whole answer.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any
from weakref import finalize

from clew.core.containment import contain
from clew.instrument.repairs.statuses import WithoutStatus
from clew.patching.wrap import wrap_functions

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)

_OUTPUT = "output.value"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Watch each stream, and each part of it."""
    return wrap_functions(
        "openinference.instrumentation.llama_index._handler",
        {
            "_SpanHandler.prepare_to_exit_span": _exit,
            "_Span.process_event": _process_event,
            "_Span.end": _end,
        },
    )


def _exit(upstream: Any, _handler: Any, arguments: Any, named: Any) -> Any:
    span = upstream(*arguments, **named)
    try:
        stream = named.get("result")
        if isinstance(stream, Generator | AsyncGenerator) and span is not None and span.active:
            finalize(stream, _let_go, span)
    except Exception:
        contain("watching a stream")
    return span


def _let_go(span: Any) -> None:
    try:
        if span.active:
            mark_left(span)
            span.end()
            _tell_parents(span)
    except Exception:
        contain("ending an abandoned stream")


def _tell_parents(span: Any) -> None:
    from openinference.instrumentation.llama_index import (
        _handler as handler,
    )

    parent = span._parent  # Upstream's state
    while parent and parent.waiting_for_streaming:
        mark_left(parent)
        parent = parent._parent
    span.notify_parent(handler._StreamingStatus.FINISHED)  # Upstream's own word


def mark_left(span: Any) -> None:
    """Note on upstream's *span* that the stream it waits for was not read to its end."""
    span._clew_left = True  # Ours, on upstream's span


def _process_event(upstream: Any, span: Any, arguments: Any, named: Any) -> Any:
    event = arguments[0] if arguments else named.get("event")
    if type(event).__name__ in _PARTS:
        span._clew_part = event  # Ours, on upstream's span
    elif isinstance(getattr(event, "exception", None), GeneratorExit):
        if span.waiting_for_streaming:
            _let_go(span)
        return None
    return upstream(*arguments, **named)


_PARTS = {
    "LLMChatInProgressEvent": "LLMChatEndEvent",
    "LLMCompletionInProgressEvent": "LLMCompletionEndEvent",
}
"""What is said of each part of a stream, and what would be said at its end."""


def _end(upstream: Any, span: Any, arguments: Any, named: Any) -> Any:
    part = getattr(span, "_clew_part", None)
    try:
        if part is not None and span.active and _OUTPUT not in span._attributes:
            from llama_index.core.instrumentation.events import llm

            # A part holds all that came before it.
            end = getattr(llm, _PARTS[type(part).__name__])
            span._process_event(end(**dict(part)))  # Upstream's reading of it
    except Exception:
        contain("showing what was read of a stream")
    error = arguments[0] if arguments else named.get("exception")
    if error is not None or not getattr(span, "_clew_left", False):
        return upstream(*arguments, **named)
    real = span._otel_span  # Upstream's state
    try:
        span._otel_span = WithoutStatus(real)
        return upstream()
    finally:
        span._otel_span = real
