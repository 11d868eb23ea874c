"""LlamaIndex: a provider's span inside a model call cannot know that it is part of it.

Upstream keeps to itself until the end of what kind a span is, and takes every method of a model for
a model call, one that only puts a request together as well, and what a chat engine does with a
stream, which another span is there for. And the request of a streaming call is made when the stream
is first read, when its span is no longer the current one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.masking import masked_facts
from clew.patching.wrap import Patches
from clew.spans.framework_runs import attach_run
from clew.spans.model_calls import CHAIN, announce_kind, merges_duplicates

MADE_FOR = (
    "openinference-instrumentation-llama-index>=4.6.1,<5",
    "llama-index-core>=0.14.19,<0.15",
)

_HANDLER = "openinference.instrumentation.llama_index._handler:_SpanHandler"
_NO_MODEL_CALLS = ("._prepare_chat_with_tools", "write_response_to_history")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Follow the start of upstream's spans, and those that wait for a stream."""
    patches = Patches()
    patches.wrap(_HANDLER, "new_span", _starting)
    patches.wrap(_HANDLER, "prepare_to_exit_span", _leaving)
    return patches.undo


def _starting(wrapped: Any, _handler: Any, arguments: Any, named: Any) -> Any:
    started = wrapped(*arguments, **named)
    try:
        if started is not None:
            _tell_kind(started)
    except Exception:
        contain("reading the kind of a LlamaIndex span")
    return started


def _tell_kind(started: Any) -> None:
    span = started._otel_span  # Upstream's span around OpenTelemetry's
    kind = started._span_kind
    if merges_duplicates() and getattr(span, "name", "").endswith(_NO_MODEL_CALLS):
        kind = started._span_kind = CHAIN
    held_back = started._attributes  # Upstream says it all when the span ends
    announce_kind(span, kind, partial(masked_facts, span, held_back))


def _leaving(wrapped: Any, _handler: Any, arguments: Any, named: Any) -> Any:
    left = wrapped(*arguments, **named)
    try:
        if left is not None and left.waiting_for_streaming:
            # The stream is read in this very context, see `frameworks.py`.
            span = left._otel_span
            attach_run(left.id_, lambda: span if span.is_recording() else None)
    except Exception:
        contain("noting a stream of LlamaIndex's")
    return left
