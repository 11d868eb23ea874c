"""Lets threads run in the context in which they were started: `threading`'s, and thread pools'.

The threads of a pool outlive the block in which it was made. So each job runs in the context of its
submission, and so does what the threads of a `multiprocessing.pool.Pool` do for it in this process.

This does what OpenTelemetry's own instrumentation of ``threading`` does. clew does not use that
package because it pins the version of another one exactly: while OpenTelemetry's releases are under
way, pip would find no solution for clew. An application may use that package as well; each of the
two then attaches the context that was current at the start, which is the same one.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread, Timer
from typing import Any

from opentelemetry.context import Context, attach, detach

from clew.context.blocks import capture_context
from clew.context.carry import carry
from clew.core import otel_private
from clew.core.containment import contain
from clew.patching.undo import Undo, UndoStack
from clew.patching.wrap import Patches, Place

_OPENTELEMETRYS = "opentelemetry.instrumentation.threading"
_CALLED = {"func": 0, "callback": 3, "error_callback": 4}
_READ_LATER = {"func": 0, "iterable": 1}
_POOL_METHODS = {
    **dict.fromkeys(("apply_async", "map", "map_async", "starmap", "starmap_async"), _CALLED),
    **dict.fromkeys(("imap", "imap_unordered"), _READ_LATER),
}
"""What submits jobs to a `multiprocessing.pool.Pool`: arguments that its threads use, by place."""


class _Instrumentation:
    """The wrappers that give threads their context, while they are on."""

    def __init__(self) -> None:
        self._wrappers, self._patches = Patches(), Patches()

    def start(self) -> None:
        """Put the wrappers on."""
        _active.add(self)
        self._wrappers.wrap_now(_places())
        self._patches.wrap(
            f"{_OPENTELEMETRYS}:ThreadingInstrumentor",
            otel_private.UNINSTRUMENT,
            self._without_wrappers,
        )
        self._patches.when_loaded("multiprocessing.pool", self._wrap_pool)

    def _wrap_pool(self, module: Any) -> Iterable[Undo]:
        self._patches.wrap_now(
            (module.Pool, method, partial(_submit_to_pool, used=used))
            for method, used in _POOL_METHODS.items()
        )
        return ()

    def _without_wrappers(
        self, wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Let OpenTelemetry uninstrument: it removes the outermost wrappers, even if clew's."""
        self._wrappers.undo()
        try:
            wrapped(*args, **kwargs)
        finally:
            if self in _active:
                self._wrappers = Patches()
                self._wrappers.wrap_now(_places())

    def stop(self) -> None:
        """Take the wrappers off."""
        _active.discard(self)
        self._patches.undo()
        self._wrappers.undo()


_active: set[_Instrumentation] = set()


def instrument_threads(undo: UndoStack) -> None:
    """Let new threads and the jobs of thread pools run in the context they are started from."""
    instrumentation = _Instrumentation()
    undo.add(instrumentation.stop)
    instrumentation.start()


def threads_are_instrumented() -> bool:
    """Tell whether new threads run in their starter's context, by clew or by OpenTelemetry."""
    instrumentor = getattr(sys.modules.get(_OPENTELEMETRYS), "ThreadingInstrumentor", None)
    by_opentelemetry = instrumentor is not None and instrumentor().is_instrumented_by_opentelemetry
    return bool(_active) or by_opentelemetry


def _places() -> Iterable[Place]:
    """Yield what is wrapped: each function in the class that defines it, not in one that inherits.

    OpenTelemetry's instrumentation gives `Timer` a ``start`` of its own, and leaves it there when
    it is uninstrumented.
    """
    for cls in (Thread, Timer):
        if "start" in vars(cls):
            yield cls, "start", _start
        yield cls, "run", _run
    yield ThreadPoolExecutor, "submit", _submit


def _start(
    wrapped: Callable[[], None], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        thread.clew_context = capture_context()
    except Exception:
        contain("copying the context into a thread")
    wrapped(*args, **kwargs)


def _run(
    wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    token = None
    try:
        token = attach(thread.clew_context)
        del thread.clew_context  # A thread may be kept after its end; its context need not be.
    except AttributeError:
        pass  # It was started before threads were instrumented.
    except Exception:
        contain("running a thread in its context")
    try:
        return wrapped(*args, **kwargs)
    finally:
        if token is not None:
            detach(token)


def _submit(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    try:
        if args:  # Without a function, Python's own error says what is wrong.
            args = (_run_in, capture_context(), *args)
    except Exception:
        contain("copying the context into a thread pool")
    return wrapped(*args, **kwargs)


def _run_in(context: Context, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = None
    try:
        token = attach(context)
    except Exception:
        contain("running a job of a thread pool in its context")
    try:
        return function(*args, **kwargs)
    finally:
        if token is not None:
            detach(token)


def _submit_to_pool(
    wrapped: Callable[..., Any],
    pool: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    used: Mapping[str, int],
) -> Any:
    from multiprocessing.pool import ThreadPool  # It is imported: this wraps a method of it

    try:
        context = capture_context()
        by_place, by_name = list(args), dict(kwargs)
        for name, place in used.items():
            is_by_place = place < len(args)
            given: Any = args[place] if is_by_place else kwargs.get(name)
            new: Any
            if name == "iterable":
                new = carry(_each_of(given))
            elif callable(given) and (name != "func" or isinstance(pool, ThreadPool)):
                new = partial(_run_in, context, given)
            else:  # In another process, a function runs in the context that the process has.
                continue
            if is_by_place:
                by_place[place] = new
            elif name in kwargs:
                by_name[name] = new
        args, kwargs = tuple(by_place), by_name
    except Exception:
        contain("copying the context into a pool of multiprocessing's")
    return wrapped(*args, **kwargs)


def _each_of(iterable: Iterable[Any]) -> Iterator[Any]:
    """Yield the items. So the iteration begins where they are read, as it does without clew."""
    yield from iterable
