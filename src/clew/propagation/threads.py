"""Takes the context along into threads: those of `threading`, and those of thread pools.

It covers what OpenTelemetry's own instrumentation of ``threading`` covers, and is not that package,
because it pins the version of another one exactly: while OpenTelemetry's releases are under way,
pip would find no solution for clew. An application may use that package as well; each of the two
then attaches the context that was current at the start, which is the same one.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, Timer
from typing import Any

from opentelemetry.context import Context, attach, detach

from clew.context.blocks import captured
from clew.core.containment import contain
from clew.patching.import_hooks import Undo
from clew.patching.wrap import Patches, Place

_THEIRS = "opentelemetry.instrumentation.threading"


class _Following:
    """The wrappers that take the context along, while they are wanted."""

    def __init__(self) -> None:
        self._wrappers = _wrap()
        self._theirs = Patches()
        self._theirs.wrap(
            f"{_THEIRS}:ThreadingInstrumentor", "_uninstrument", self._without_wrappers
        )

    def _without_wrappers(
        self, uninstrument: Any, _: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Let OpenTelemetry's come off, which removes the outermost wrappers, whosever they are."""
        self._wrappers.undo()
        try:
            uninstrument(*arguments, **named)
        finally:
            if self in _following:
                self._wrappers = _wrap()

    def stop(self) -> None:
        _following.discard(self)
        self._theirs.undo()
        self._wrappers.undo()


_following: set[_Following] = set()


def follow_threads() -> Undo:
    """Let new threads and the jobs of thread pools run in the context they are started from.

    Return what undoes it.
    """
    following = _Following()
    _following.add(following)
    return following.stop


def are_followed() -> bool:
    """Tell whether new threads take the context along, by clew or by OpenTelemetry's own means."""
    instrumentor = getattr(sys.modules.get(_THEIRS), "ThreadingInstrumentor", None)
    theirs = instrumentor is not None and instrumentor().is_instrumented_by_opentelemetry
    return bool(_following) or theirs


def _wrap() -> Patches:
    patches = Patches()
    patches.wrap_now(_places())
    return patches


def _places() -> Iterable[Place]:
    """Yield what is wrapped: each function in the class that has it, not where it is inherited.

    OpenTelemetry's gives `Timer` a ``start`` of its own, and leaves it there when it comes off.
    """
    for cls in (Thread, Timer):
        if "start" in vars(cls):
            yield cls, "start", _starting
        yield cls, "run", _running
    yield ThreadPoolExecutor, "submit", _submitting


def _starting(
    start: Callable[[], None], thread: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    try:
        thread.clew_context = captured()
    except Exception:
        contain("taking the context along into a thread")
    start(*arguments, **named)


def _running(
    run: Callable[..., Any], thread: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    token = None
    try:
        token = attach(thread.clew_context)
        del thread.clew_context  # A thread that is over may be kept, and its context need not be.
    except AttributeError:
        pass  # It was started before threads were followed.
    except Exception:
        contain("running a thread in its context")
    try:
        return run(*arguments, **named)
    finally:
        if token is not None:
            detach(token)


def _submitting(
    submit: Callable[..., Any], _: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    try:
        if arguments:  # Without a function, Python says what is wrong.
            arguments = (_run_in, captured(), *arguments)
    except Exception:
        contain("taking the context along into a pool of threads")
    return submit(*arguments, **named)


def _run_in(context: Context, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
    token = None
    try:
        token = attach(context)
    except Exception:
        contain("running a job of a pool in its context")
    try:
        return function(*given, **named)
    finally:
        if token is not None:
            detach(token)
