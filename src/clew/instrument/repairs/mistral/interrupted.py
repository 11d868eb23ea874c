"""Mistral: the span of a call that is cancelled never ends.

Upstream ends it when the call returns or raises an ``Exception``, which a cancellation is not. The
repair starts upstream's spans in its stead, and ends those that anything else makes end. What it
puts into the context it takes out again even where the call is left in another one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, cast

from opentelemetry.context import attach, get_current
from opentelemetry.trace import INVALID_SPAN, Status, StatusCode, set_span_in_context

from clew.core.containment import contain
from clew.instrument.repairs import expect
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-mistralai>=2.2.2,<3", "mistralai>=2,<4")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Start upstream's spans."""
    from openinference.instrumentation.mistralai import (
        _chat_wrapper as wrappers,
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
            contain("starting a span of Mistral's")
            span = INVALID_SPAN
        with_span = _WithSpan(span, dict(context_attributes), dict(attributes))
        before, inside = get_current(), set_span_in_context(span)
        attach(inside)
        try:
            yield with_span
        except BaseException as error:
            with_span.record_exception(cast("Exception", error))  # It takes any.
            status = Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            with_span.finish_tracing(status)
            raise
        finally:
            if get_current() is inside:
                attach(before)

    owner: Any = wrappers._WithTracer
    found = owner._start_as_current_span
    expect(found, "self", *list(signature(start).parameters)[1:])

    def called(upstreams: Any, wrapper: Any, arguments: Any, named: Any) -> Any:
        try:
            return start(wrapper, *arguments, **named)
        except Exception:
            contain("starting a span of Mistral's")
            return upstreams(*arguments, **named)

    return wrap_functions(wrappers, {"_WithTracer._start_as_current_span": called})
