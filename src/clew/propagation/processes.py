"""What other processes need: exporters that work in them, and pools that know whom they work for.

OpenTelemetry's BatchSpanProcessor starts anew in a forked child, with an empty queue. Two things
are left to do. A child made by ``multiprocessing`` ends by ``os._exit``, which skips ``atexit``:
its last spans are flushed by a finalizer of multiprocessing's own. And a child inherits the
exporter's open connection and its locks: two processes writing requests into one socket corrupt
both, so the child gets connections of its own.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from importlib import import_module
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.context import Context, attach

from clew.context.carry import carry
from clew.core.containment import contain
from clew.core.weak_map import WeakById
from clew.export.delivery_processor import Delivery
from clew.export.exit_deadline import begin_exit, seconds_left
from clew.patching.wrap import Patches

# --- exporters that work after a fork ---

_A_LAST_WORD = 0.2
"""Seconds beyond the time of the flush, to say what did not arrive."""
_FLUSH_LAST = -50
"""Among multiprocessing's finalizers: after all that may still make spans."""


class _Followed:
    """The providers to look after in children; those that clew was started with."""

    def __init__(self) -> None:
        self.providers = WeakById[bool]()
        self._hooked = False

    def hook(self) -> None:
        """Hear of children. A hook of ``os`` or ``multiprocessing`` cannot be taken back."""
        if self._hooked:
            return
        self._hooked = True
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_before_fork, after_in_child=self.after_fork)
        wrapt.register_post_import_hook(self.follow, "multiprocessing.util")

    def follow(self, util: Any) -> None:
        try:
            util.register_after_fork(self, _Followed.flush_at_exit)
            self.flush_at_exit()
        except Exception:  # The boundary to the application: this is an import of its
            contain("following the processes of multiprocessing")

    def flush_at_exit(self) -> None:
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            util = sys.modules["multiprocessing.util"]
            util.Finalize(None, self.flush, exitpriority=_FLUSH_LAST)
            # Where atexit is run after all, a SIGTERM would end the provider's shutdown half-way.
            atexit.register(self.flush)

    def flush(self) -> None:
        """Export what is left, within limits: a dead collector must not keep the process alive."""
        begin_exit()
        self.deliver()

    def deliver(self) -> None:
        other = trace.get_tracer_provider()
        providers = [*self.providers, *([] if self.providers.get(other) else [other])]
        flushes = [each for it in providers if (each := getattr(it, "force_flush", None))]

        def flush_all() -> None:
            for flush in flushes:
                flush()

        # A daemon, which a process does not wait for; and whoever calls this may be holding locks.
        thread = threading.Thread(target=flush_all, name="clew-last-flush", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Since Python 3.12 no thread can be started at the very end.
            flush_all()
        else:
            thread.join(seconds_left() + _A_LAST_WORD)

    def after_fork(self) -> None:
        try:
            for exporter in {it for provider in self.providers for it in _exporters(provider)}:
                _renew_connections(exporter)
        except Exception:
            contain("renewing connections after a fork")


_followed = _Followed()
_parents: list[object] = []
"""Connections of the parent's. Collected, they would be closed under a lock that may be held."""


def follow_processes(provider: object) -> Callable[[], None]:
    """Let the exporters of *provider* work in child processes; return what undoes it."""
    _followed.providers[provider] = True
    _followed.hook()

    def stop() -> None:
        _followed.providers.discard(provider)

    return stop


def flush_last_spans() -> None:
    """Export what is left, in a process that is about to end without running ``atexit``."""
    _followed.flush()


def flush_spans() -> None:
    """Export what is left, in as much time as the end of a process would take."""
    _followed.deliver()


def flush_when_ended() -> None:
    """Flush when this process ends, also when its pool is terminated; in a child process only.

    ``with multiprocessing.Pool()`` ends its workers by SIGTERM. They die of it as they would have,
    a flush later. A process that has a handler of its own keeps that.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return  # A pool of threads.
    _followed.flush_at_exit()
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _flush_and_die)


def _flush_and_die(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # A second one must not cut the flush short.
    _followed.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _before_fork() -> None:
    """Finish what an exporter's thread may be importing: in the child it would never be finished.

    requests imports netrc in its first request, and holds the lock of that import meanwhile.
    """
    try:
        if "requests" in sys.modules:
            import_module("netrc")
    except Exception:
        contain("preparing for a fork")


def _exporters(provider: Any) -> Iterator[Any]:
    # There is no public way from a provider to its exporters.
    several = getattr(provider, "_active_span_processor", None)
    for processor in getattr(several, "_span_processors", ()):
        if isinstance(processor, Delivery):
            yield from processor.span_exporters
        elif (exporter := getattr(processor, "span_exporter", None)) is not None:
            yield exporter


def _renew_connections(exporter: Any) -> None:
    """Give *exporter* connections of its own, without touching a lock of the parent's.

    The OTLP/HTTP exporter holds a ``requests.Session``, itself or in the transport of its client,
    or a ``urllib3.PoolManager`` there.
    """
    transport = getattr(getattr(exporter, "_client", None), "_transport", exporter)
    if (session := getattr(transport, "_session", None)) is not None:
        for prefix, adapter in list(getattr(session, "adapters", {}).items()):
            _parents.append(adapter)
            session.mount(prefix, copy(adapter))  # Its copy has its settings, and no connection.
        session.cookies = copy(session.cookies)  # And this one's has a lock of its own.
    pool = getattr(transport, "_pool", None)
    if pool is not None and hasattr(pool, "connection_pool_kw"):
        _parents.append(pool)
        transport._pool = type(pool)(headers=pool.headers, **pool.connection_pool_kw)  # noqa: SLF001 - as above


# --- pools of processes ---


def carry_initializer(
    initializer: Callable[..., object] | None = None, *initargs: object
) -> Callable[..., None]:
    """Return an initializer for a pool of processes whose tasks belong to who submits them.

    ::

        with ProcessPoolExecutor(initializer=carry_initializer()) as pool:
            with using_session("chat-42"):
                pool.submit(answer, "why?")     # in chat-42
            pool.submit(answer, "what?")        # in no session

    Every function submitted to such a pool is carried: plain functions need no `carry`. It goes by
    the moment of submission, as with a pool of threads, and not by the moment in which the pool was
    made. A pool commonly outlives the block that happened to make it, and serves several sessions
    at once; whatever a worker kept for itself would then be a wrong id on somebody else's span,
    which is worse than none.

    So a worker keeps nothing: a forked one leaves the context that it inherited. Only
    *initializer*, which is called with *initargs* and the pool's own, runs in the context of this
    moment. When a worker ends, also by SIGTERM, its last spans are exported first.

    It works for ``concurrent.futures.ProcessPoolExecutor`` and ``multiprocessing.Pool``, with any
    start method. Under spawn and forkserver a worker is a fresh interpreter, which needs
    ``instrument_all`` as well: ``carry_initializer(instrument_all)``. To other pools, submit
    ``carry(function)``.
    """
    _watch_pools()
    first = None if initializer is None else carry(partial(initializer, *initargs))
    return _Initializer(first)


class _Initializer:
    """What each worker runs first, and by which a pool is recognised."""

    def __init__(self, first: Callable[..., object] | None) -> None:
        self._first = first

    def __call__(self, *initargs: object) -> None:
        attach(Context())
        if self._first is not None:
            self._first(*initargs)
        try:
            flush_when_ended()
        except Exception:
            contain("following a process of a pool")


_SUBMITTING = {
    "concurrent.futures.process": ("ProcessPoolExecutor", ("submit",)),
    "multiprocessing.pool": (
        "Pool",
        ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"),
    ),
}
_watching: list[Patches] = []
"""The wrappers around the methods of pools, while they are on."""
_pools_made = False
"""Whether there may be pools whose tasks are to be carried."""


def _watch_pools() -> None:
    global _pools_made  # The classes of pools are one per process as well
    _pools_made = True
    if _watching:
        return
    patches = Patches()
    patches.wrap_now(
        (getattr(import_module(module), name), method, _submitting)
        for module, (name, methods) in _SUBMITTING.items()
        for method in methods
    )
    _watching.append(patches)


def follow_pools() -> Callable[[], None]:
    """Watch the pools that `carry_initializer` was made for, also after it was undone before.

    Return what takes back what was changed in the classes of pools, now or later.
    """
    if _pools_made:
        _watch_pools()
    return leave_pools


def leave_pools() -> None:
    """Take back what was changed in the classes of pools."""
    while _watching:
        _watching.pop().undo()


def _submitting(
    submit: Callable[..., Any], pool: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    try:
        if isinstance(getattr(pool, "_initializer", None), _Initializer):
            if arguments and callable(arguments[0]):
                arguments = (carry(arguments[0]), *arguments[1:])
            elif callable(function := named.get("func")):
                named = {**named, "func": carry(function)}
    except Exception:
        contain("carrying a task into a pool")
    return submit(*arguments, **named)
