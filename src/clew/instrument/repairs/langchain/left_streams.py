"""LangChain: a stream that is abandoned half-way ends as an error, ``GeneratorExit``.

LangChain reports a reader that stops early like any other exception, and upstream records it as an
error, in the span of the model and in those of all chains around it. Nothing has failed, so the
repair leaves the status unset and records no exception. Where the run works in a task of its own,
which is cancelled when its reader leaves, it is told so by `left_events`.
"""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs.statuses import StatusIgnoringSpan
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_ABANDONED = repr(GeneratorExit())
_CANCELLED = CancelledError.__name__
"""The beginnings of the error texts of such runs."""


class Reader:
    """Who reads what a task yields: it is noted in the context of the task."""

    def __init__(self, outer: "Reader | None") -> None:
        self.outer, self.has_left = outer, False


reader_of_task: ContextVar[Reader | None] = ContextVar("clew-langchain-reader", default=None)


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Check the error before upstream does."""
    return wrap_functions(
        "openinference.instrumentation.langchain._tracer",
        {"_update_span": _update_span, "_record_exception": _record_exception},
    )


def _update_span(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    new_args = args
    try:
        span, run = args
        text = str(run.error or "")
        if text.startswith(_ABANDONED) or (text.startswith(_CANCELLED) and _has_reader_left()):
            new_args = (StatusIgnoringSpan(span), run)
    except Exception:
        contain("marking an abandoned stream")
    return wrapped(*new_args, **kwargs)


def _record_exception(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        error = args[-1]
        is_left = isinstance(error, CancelledError) and _has_reader_left()
        if is_left or isinstance(error, GeneratorExit):
            return None
    except Exception:
        contain("marking an abandoned stream")
    return wrapped(*args, **kwargs)


def _has_reader_left() -> bool:
    reader = reader_of_task.get()
    while reader is not None and not reader.has_left:
        reader = reader.outer
    return reader is not None
