"""Mistral: the span of a call that is cancelled never ends.

Upstream ends it when the call returns or raises an ``Exception``; ``CancelledError`` is none. The
repair starts upstream's spans itself, and ends them also on any other ``BaseException``. It uses no
token to restore the previous context, so the call may end in another ``contextvars`` context.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, cast

from opentelemetry.context import attach, get_current
from opentelemetry.trace import INVALID_SPAN, Status, StatusCode, set_span_in_context

from clew.core.containment import contain
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Replace the method that starts upstream's spans."""
    from openinference.instrumentation.mistralai import (
        _chat_wrapper as chat_wrapper,
    )
    from openinference.instrumentation.mistralai._with_span import (
        _WithSpan,
    )

    @contextmanager
    def start(
        wrapper: Any,
        span_name: str,
        attributes: Any,
        context_attributes: Any,
        extra_attributes: Any,
    ) -> Iterator[Any]:
        try:
            tracer = wrapper._tracer
            span = tracer.start_span(span_name, attributes=dict(extra_attributes))
        except Exception:
            contain("starting a Mistral span")
            span = INVALID_SPAN
        with_span = _WithSpan(span, dict(context_attributes), dict(attributes))
        outer_context, span_context = get_current(), set_span_in_context(span)
        attach(span_context)
        try:
            yield with_span
        except BaseException as error:
            with_span.record_exception(cast("Exception", error))  # It accepts any BaseException
            status = Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            with_span.finish_tracing(status)
            raise
        finally:
            if get_current() is span_context:
                attach(outer_context)

    mixin: Any = chat_wrapper._WithTracer
    method = mixin._start_as_current_span
    check_parameters(method, "self", *list(signature(start).parameters)[1:])

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            return start(instance, *args, **kwargs)
        except Exception:
            contain("starting a Mistral span")
            return wrapped(*args, **kwargs)

    return wrap_functions(chat_wrapper, {"_WithTracer._start_as_current_span": wrapper})
