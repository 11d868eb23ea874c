"""Bedrock: a call that ends badly leaves a span that is open, unmarked, or ended twice.

Upstream opens the span of a stream without ending it on leaving, because a stream outlasts its
call, and then forgets a ``converse_stream`` that is refused. What is cancelled or interrupted it
never ends, or ends as if nothing had happened: ``CancelledError`` is no ``Exception``. And the span
of a ``converse`` that fails it ends itself, and once more on leaving. The repair gives its wrappers
a tracer whose blocks end the span of whatever leaves them by an exception, once.
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
"""Which argument of upstream's function is the tracer."""


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give the wrappers of each client a tracer that ends what fails."""
    return wrap_functions(_MODULE, {"_instrument_client": _instrument_client})


def _instrument_client(instrument: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    given = [*arguments]
    try:
        if len(given) > _TRACER:
            given[_TRACER] = _EndingTracer(given[_TRACER])
    except Exception:
        contain("guarding the calls of a client of Bedrock's")
    return instrument(*given, **named)


class _EndingTracer(wrapt.ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A tracer whose blocks end the span of what leaves them by an exception."""

    @contextmanager
    def start_as_current_span(
        self,
        name: str,
        *,
        end_on_exit: bool = True,
        **named: Any,
    ) -> Iterator[Span]:
        with self.__wrapped__.start_as_current_span(name, end_on_exit=False, **named) as span:
            try:
                yield span
            except BaseException as error:
                end_failed(span, error)
                raise
        if end_on_exit:
            span.end()


def end_failed(span: Span, error: BaseException) -> None:
    """End *span* with *error*, unless it has ended."""
    try:
        if span.is_recording():
            mark_failed(span, error)
            span.end()
    except Exception:
        contain("ending the span of a call that failed")


def mark_failed(span: Span, error: BaseException) -> None:
    """Say on *span*, which goes on, that *error* was raised; once."""
    status = getattr(span, "status", None)
    if status is not None and status.status_code is StatusCode.ERROR:
        return
    kind = type(error).__name__
    try:
        text = str(error)
        span.record_exception(error)
    except Exception:  # The application's own exception, which cannot be shown
        text = ""
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {text}" if text else kind))
