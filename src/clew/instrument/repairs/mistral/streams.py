"""Mistral: an asynchronous stream loses the SDK's methods, and a stream's span may not end.

Upstream returns a bare asynchronous generator: ``async with`` raises a ``TypeError``, there is no
``response``, and an event without choices raises. The span of a stream that is cancelled or never
awaited does not end, and that of a stream that was read to its end does not get the status OK. The
repair returns the SDK's own stream to the application, and reports its events and end to upstream.
"""

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

from clew.context.stepping import coroutine_in_context
from clew.instrument.record.stream_watch import Watcher, is_stream, stream_status, watch
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")

_PACKAGE = "openinference.instrumentation.mistralai"
_METHOD = "_finalize_response"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Watch streams instead of wrapping them."""
    from openinference.instrumentation.mistralai import (
        _chat_wrapper as wrappers,
    )

    mixin: Any = wrappers._WithMistralAI
    check_parameters(getattr(mixin, _METHOD), "self", "response", "with_span", "request_parameters")
    return wrap_functions(wrappers, {f"_WithMistralAI.{_METHOD}": _finalize})


def _finalize(wrapped: Any, _instance: Any, _args: Any, kwargs: Any) -> Any:
    response, with_span = kwargs["response"], kwargs["with_span"]
    if iscoroutine(response):
        context = set_span_in_context(with_span._span)
        watcher = _ChatWatcher(with_span, kwargs["request_parameters"])
        return _watch_awaited(response, watcher, context)
    if is_stream(response):
        return watch(response, _ChatWatcher(with_span, kwargs["request_parameters"]))
    return wrapped(**kwargs)


async def _watch_awaited(response: Any, watcher: Watcher, context: Context) -> Any:
    try:
        stream = await coroutine_in_context(lambda: response, context)
    except BaseException as error:
        watcher.end(error)
        raise
    return watch(stream, watcher)


class _ChatWatcher(Watcher):
    """Lets upstream accumulate the events and end its span."""

    def __init__(self, with_span: Any, request_parameters: Any) -> None:
        from mistralai.client.models import CompletionEvent
        from openinference.instrumentation.mistralai import (
            _response_accumulator as accumulators,
        )
        from openinference.instrumentation.mistralai import (
            _response_attributes_extractor as extractors,
        )

        self._with_span = with_span
        self._has_events = False
        self._accumulator = accumulators._ChatCompletionAccumulator(
            request_parameters=request_parameters,
            chat_completion_type=CompletionEvent,
            response_attributes_extractor=extractors._StreamResponseAttributesExtractor(),
        )

    def handle_event(self, event: Any) -> None:
        if not self._has_events:
            self._has_events = True
            self._with_span.add_event("First Token Stream Event")
        self._accumulator.process_chunk(event)

    def handle_end(self, error: BaseException | None, *, complete: bool) -> None:
        from openinference.instrumentation.mistralai._utils import (
            _finish_tracing,
        )

        if error is not None:
            self._with_span.record_exception(error)
        _finish_tracing(self._with_span, self._accumulator, stream_status(error, complete=complete))
