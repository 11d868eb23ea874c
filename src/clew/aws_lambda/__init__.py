"""AWS Lambda: what was traced is delivered before the answer is given.

A function is frozen as soon as it has answered, and what waits to be exported then stays behind.
Where the environment is that of a function (``AWS_LAMBDA_RUNTIME_API`` is set), clew delivers by
itself each time that an outermost span ends. A function that makes many of those is quicker with
one delivery at its end:

    from clew import instrument_all
    from clew.aws_lambda import flushed

    instrument_all(eager=True)          # while the function is set up, which is not counted

    @flushed
    def handler(event, context):
        with using_session(event["session"]):
            return client.chat.completions.create(...)
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from clew.core import settings
from clew.core.containment import contain
from clew.core.weak_map import WeakById
from clew.spans.other_providers import add_processor

__all__ = ["flushed"]

P = ParamSpec("P")
R = TypeVar("R")

_SPARE = 0.2
"""Seconds of a function's time that are left for its answer."""

_delivered_later: ContextVar[bool] = ContextVar("clew.delivered-later", default=False)
_processors = WeakById["_Delivering"]()


def flushed(handler: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function's handler: what it has traced is delivered before it returns.

    It takes no longer than ``CLEW_EXIT_TIMEOUT`` says, and than the function still has.
    """

    @wraps(handler)
    def answering(*arguments: P.args, **named: P.kwargs) -> R:
        with _later():
            try:
                return handler(*arguments, **named)
            finally:
                _deliver(_seconds_left(arguments))

    return answering


def deliver_before_answers(provider: Any) -> Callable[[], None]:
    """Deliver the spans of *provider* by ourselves, in a function; return what undoes it.

    Its other processors have to be there: each hears of a span after those that came before it.
    """
    if not os.environ.get("AWS_LAMBDA_RUNTIME_API") or not hasattr(provider, "add_span_processor"):
        return lambda: None
    processor = _processors.get(provider)
    if processor is None:
        _processors[provider] = processor = _Delivering()
        add_processor(provider, processor)
    processor.active = True
    return partial(setattr, processor, "active", False)  # noqa: FBT003 - as setattr wants it


class _Delivering(SpanProcessor):
    """Delivers what has ended each time that an outermost span ends."""

    active = True
    """False after ``uninstrument_all()``: a provider has no way to remove a processor."""

    def on_end(self, span: ReadableSpan) -> None:
        """Deliver, if *span* is not inside another one of this process."""
        outermost = span.parent is None or span.parent.is_remote
        if self.active and outermost and not _delivered_later.get():
            _deliver(settings.EXIT_TIMEOUT.read())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's
        """Have nothing to flush."""
        return True


@contextmanager
def _later() -> Iterator[None]:
    before = _delivered_later.set(True)
    try:
        yield
    finally:
        _delivered_later.reset(before)


def _deliver(seconds: float) -> None:
    try:
        other = trace.get_tracer_provider()
        for provider in [*_processors, *([] if _processors.get(other) else [other])]:
            if (flush := getattr(provider, "force_flush", None)) is not None:
                flush(int(seconds * 1000))
    except Exception:
        contain("delivering before a function answers")


def _seconds_left(arguments: tuple[object, ...]) -> float:
    most = settings.EXIT_TIMEOUT.read()
    try:
        context: Any = arguments[1]
        left = float(context.get_remaining_time_in_millis()) / 1000 - _SPARE
    except Exception:  # Whatever it is called with
        return most
    return max(0.0, min(most, left))
