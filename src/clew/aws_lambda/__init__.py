"""AWS Lambda: exports the spans of a function before it returns its answer.

A function is frozen as soon as it has answered, and spans that wait for export are then not sent.
In a function (``AWS_LAMBDA_RUNTIME_API`` is set), clew exports by itself each time that an
outermost span ends. A function that makes many of those is quicker with one export at its end:

    from clew import instrument_all
    from clew.aws_lambda import flushed

    instrument_all(eager=True)          # while the function is set up, which is not counted

    @flushed
    def handler(event, context):
        with using_session(event["session"]):
            return client.chat.completions.create(...)
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from opentelemetry import trace

from clew.core import settings
from clew.core.containment import contain
from clew.core.weak_map import WeakById
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches
from clew.spans.other_providers import add_processor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from clew.aws_lambda.processor import FlushingProcessor

__all__ = ["flushed"]

P = ParamSpec("P")
R = TypeVar("R")

_RESERVED_SECONDS = 0.2
"""How much of a function's time is left for its answer."""
_DOING = "exporting before a function answers"

_flushed_later: ContextVar[bool] = ContextVar("clew.flushed-later", default=False)
_providers = WeakById[bool]()
"""The providers that clew was started with."""
_on_end_patches = WeakById[Patches]()
"""The wrappers around ``on_end`` of what calls each provider's processors."""
_processors: "WeakById[FlushingProcessor]" = WeakById()
"""The processors that were added to other providers."""


def flushed(handler: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function's handler: its spans are exported before it returns.

    The export takes no longer than ``CLEW_EXIT_TIMEOUT``, and than the function has time left.
    """

    @wraps(handler)
    def flushing(*args: P.args, **kwargs: P.kwargs) -> R:
        with _flush_later():
            try:
                return handler(*args, **kwargs)
            finally:
                _flush(_seconds_left((*args, *kwargs.values())))

    return flushing


def flush_before_answers(provider: Any, undo: UndoStack) -> None:
    """In a Lambda function, flush *provider* at each outermost span's end.

    Processors are called in the order in which they were added, and the application may add one
    later that exports. So a flush comes after the object that calls them all. Where a provider
    does not show that, a processor is added instead: those that are added later miss the flush.
    """
    if not os.environ.get("AWS_LAMBDA_RUNTIME_API") or not hasattr(provider, "add_span_processor"):
        return
    processors = getattr(provider.get_tracer("clew"), "span_processor", None)
    if hasattr(processors, "__dict__") and callable(getattr(processors, "on_end", None)):
        _wrap_on_end(processors, undo)
    else:
        _add_flushing_processor(provider, undo)
    _providers[provider] = True


def _wrap_on_end(processors: Any, undo: UndoStack) -> None:
    patches = _on_end_patches.get(processors)
    if patches is not None and patches.wraps(processors, "on_end"):
        return
    patches = Patches(doing="exporting when an outermost span ends")
    undo.add(partial(_on_end_patches.discard, processors))
    undo.add(patches.undo)
    _on_end_patches[processors] = patches
    patches.wrap_now([(processors, "on_end", _flush_after)])


def _flush_after(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    try:
        _flush_if_outermost(*args, **kwargs)
    except Exception:
        contain(_DOING)
    return result


def _add_flushing_processor(provider: Any, undo: UndoStack) -> None:
    from clew.aws_lambda.processor import FlushingProcessor  # It needs the SDK

    processor = _processors.get(provider)
    is_new = processor is None
    processor = processor or FlushingProcessor(_flush_if_outermost)
    undo.add(partial(setattr, processor, "active", False))  # noqa: FBT003 - as setattr wants it
    if is_new:
        add_processor(provider, processor)
        _processors[provider] = processor
    processor.active = True


def _flush_if_outermost(span: "ReadableSpan") -> None:
    outermost = span.parent is None or span.parent.is_remote
    if outermost and not _flushed_later.get():
        _flush(settings.EXIT_TIMEOUT.read())


@contextmanager
def _flush_later() -> Iterator[None]:
    token = _flushed_later.set(True)
    try:
        yield
    finally:
        _flushed_later.reset(token)


def _flush(seconds: float) -> None:
    """Export what has ended, in at most so many *seconds*.

    The SDK's processors wait for as long as their exporter does, whatever time they are given. So
    each provider is flushed in a thread; one that does not end in time goes on there.
    """
    try:
        other = trace.get_tracer_provider()
        providers = [*_providers, *([] if _providers.get(other) else [other])]
        flushes = [flush for it in providers if (flush := getattr(it, "force_flush", None))]
        until = monotonic() + seconds
        for thread in [_start(flush, seconds) for flush in flushes if seconds > 0]:
            thread.join(max(0.0, until - monotonic()))
    except Exception:
        contain(_DOING)


def _start(flush: Callable[[int], object], seconds: float) -> Thread:
    def run() -> None:
        _flushed_later.set(True)  # A span of the exporter's own must not start another flush.
        try:
            flush(int(seconds * 1000))
        except Exception:
            contain(_DOING)

    # The function's process must be able to end while an exporter waits for its collector.
    thread = Thread(target=run, name="clew-flush", daemon=True)
    thread.start()
    return thread


def _seconds_left(arguments: Iterable[object]) -> float:
    """Return how long a flush may take, given the arguments of a handler: one is the context."""
    timeout = settings.EXIT_TIMEOUT.read()
    left = [it for argument in arguments if (it := _left_by(argument)) is not None]
    return max(0.0, min([timeout, *(it - _RESERVED_SECONDS for it in left)]))


def _left_by(argument: Any) -> float | None:
    try:
        return float(argument.get_remaining_time_in_millis()) / 1000
    except Exception:  # The handler may be called with anything.
        return None
