"""LlamaIndex: a provider's span inside a model call cannot be recognised as part of it.

Upstream sets the kind of a span only at its end. And it treats every method of a model as a model
call, also one that only prepares a request, and what a chat engine does with a stream, which has
another span. The request of a streaming call is made when the stream is first read; by then its
span is no longer the current one. The repair reports the kind of a span when it starts, corrects
it, and notes the spans that wait for a stream.
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
_NOT_MODEL_CALLS = ("._prepare_chat_with_tools", "write_response_to_history")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Announce upstream's spans when they start, and note those that wait for a stream."""
    patches = Patches()
    patches.wrap(_HANDLER, "new_span", _new_span)
    patches.wrap(_HANDLER, "prepare_to_exit_span", _prepare_to_exit_span)
    return patches.undo


def _new_span(wrapped: Any, _handler: Any, args: Any, kwargs: Any) -> Any:
    upstream_span = wrapped(*args, **kwargs)
    try:
        if upstream_span is not None:
            _announce(upstream_span)
    except Exception:
        contain("reading the kind of a LlamaIndex span")
    return upstream_span


def _announce(upstream_span: Any) -> None:
    span = upstream_span._otel_span
    kind = upstream_span._span_kind
    if merges_duplicates() and getattr(span, "name", "").endswith(_NOT_MODEL_CALLS):
        kind = upstream_span._span_kind = CHAIN
    attributes = upstream_span._attributes  # Upstream sets them when the span ends
    announce_kind(span, kind, partial(masked_facts, span, attributes))


def _prepare_to_exit_span(wrapped: Any, _handler: Any, args: Any, kwargs: Any) -> Any:
    upstream_span = wrapped(*args, **kwargs)
    try:
        if upstream_span is not None and upstream_span.waiting_for_streaming:
            # The stream is read in this context, see `core/frameworks.py`.
            span = upstream_span._otel_span
            attach_run(upstream_span.id_, lambda: span if span.is_recording() else None)
    except Exception:
        contain("recording a span that waits for a LlamaIndex stream")
    return upstream_span
