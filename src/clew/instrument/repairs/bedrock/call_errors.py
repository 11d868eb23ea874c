"""Bedrock: a call that fails leaves a span that is open, has no error, or is ended twice.

Upstream does not end the span of a stream when the call returns, because the stream outlasts the
call, and so never ends that of a ``converse_stream`` that is refused. The span of a cancelled or
interrupted call it does not end, or ends without an error: ``CancelledError`` is no ``Exception``.
And it ends the span of a failing ``converse`` twice: itself, and on leaving the block. The repair
gives upstream's wrappers a tracer whose blocks end the span once, on any exception.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wrapt
from opentelemetry.trace import Span, Status, StatusCode

from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-bedrock>=0.1.61,<0.2", "botocore>=1.40,<2")

_MODULE = "openinference.instrumentation.bedrock"
_TRACER = 2
"""The position of the tracer in the arguments of upstream's function."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give the wrappers of each client a tracer that ends the spans of failing calls."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    new_args = [*args]
    try:
        if len(new_args) > _TRACER:
            new_args[_TRACER] = _EndOnErrorTracer(new_args[_TRACER])
    except Exception:
        contain("wrapping the tracer of a Bedrock client")
    return wrapped(*new_args, **kwargs)


class _EndOnErrorTracer(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A tracer whose blocks end their span if they are left by an exception."""

    @contextmanager
    def start_as_current_span(
        self,
        name: str,
        *,
        end_on_exit: bool = True,
        **kwargs: Any,
    ) -> Iterator[Span]:
        with self.__wrapped__.start_as_current_span(name, end_on_exit=False, **kwargs) as span:
            try:
                yield span
            except BaseException as error:
                end_failed(span, error)
                raise
        if end_on_exit:
            span.end()


def end_failed(span: Span, error: BaseException) -> None:
    """End *span* with *error*, unless it has already ended."""
    try:
        if span.is_recording():
            mark_failed(span, error)
            span.end()
    except Exception:
        contain("ending the span of a call that failed")


def mark_failed(span: Span, error: BaseException) -> None:
    """Set the status of *span* to *error* and record it, once; does not end the span."""
    status = getattr(span, "status", None)
    if status is not None and status.status_code is StatusCode.ERROR:
        return
    error_type = type(error).__name__
    try:
        text = str(error)
        span.record_exception(error)
    except Exception:  # An exception of the application's whose text cannot be read
        text = ""
    span.set_status(Status(StatusCode.ERROR, f"{error_type}: {text}" if text else error_type))
