"""Mistral: an asynchronous stream is no longer the SDK's, and neither kind ends its span for sure.

Upstream returns a bare asynchronous generator: ``async with`` raises a ``TypeError``, there is no
``response``, and an event without choices raises. The span of a stream that is cancelled or never
awaited does not end, and that of one which was read to its end is not said to be well.
The repair leaves the SDK's own stream to the application and has it tell upstream what happens.
"""

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

from clew.context.stepping import awaited
from clew.instrument.record.stream_watch import Watcher, is_stream, status, watched
from clew.instrument.repairs import expect
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")

_PACKAGE = "openinference.instrumentation.mistralai"
_METHOD = "_finalize_response"


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Watch streams instead of wrapping them."""
    from openinference.instrumentation.mistralai import (
        _chat_wrapper as wrappers,
    )

    owner: Any = wrappers._WithMistralAI
    expect(getattr(owner, _METHOD), "self", "response", "with_span", "request_parameters")
    return wrap_functions(wrappers, {f"_WithMistralAI.{_METHOD}": _finalize})


def _finalize(wrapped: Any, _instance: Any, _arguments: Any, named: Any) -> Any:
    response, with_span = named["response"], named["with_span"]
    if iscoroutine(response):
        context = set_span_in_context(with_span._span)
        return _opened(response, _ChatWatcher(with_span, named["request_parameters"]), context)
    if is_stream(response):
        return watched(response, _ChatWatcher(with_span, named["request_parameters"]))
    return wrapped(**named)


async def _opened(response: Any, watcher: Watcher, context: Context) -> Any:
    try:
        stream = await awaited(lambda: response, context)
    except BaseException as error:
        watcher.end(error)
        raise
    return watched(stream, watcher)


class _ChatWatcher(Watcher):
    """Lets upstream put the events together and end its span."""

    def __init__(self, with_span: Any, request_parameters: Any) -> None:
        from mistralai.client.models import CompletionEvent
        from openinference.instrumentation.mistralai import (
            _response_accumulator as accumulators,
        )
        from openinference.instrumentation.mistralai import (
            _response_attributes_extractor as extractors,
        )

        self._with_span = with_span
        self._begun = False
        self._events = accumulators._ChatCompletionAccumulator(
            request_parameters=request_parameters,
            chat_completion_type=CompletionEvent,
            response_attributes_extractor=extractors._StreamResponseAttributesExtractor(),
        )

    def take(self, event: Any) -> None:
        if not self._begun:
            self._begun = True
            self._with_span.add_event("First Token Stream Event")
        self._events.process_chunk(event)

    def finish(self, error: BaseException | None, *, complete: bool) -> None:
        from openinference.instrumentation.mistralai._utils import (
            _finish_tracing,
        )

        if error is not None:
            self._with_span.record_exception(error)
        _finish_tracing(self._with_span, self._events, status(error, complete=complete))
