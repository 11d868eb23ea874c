"""Exporters that work in child processes: connections of their own, and a flush at the end.

OpenTelemetry's BatchSpanProcessor starts again in a forked child, with an empty queue. Two things
are left to do. A child made by ``multiprocessing`` ends by ``os._exit``, which skips ``atexit``:
its last spans are flushed by one of multiprocessing's own finalizers; in any other forked child
`ForkExit` does that. And a child inherits the exporter's open connection and its locks: two
processes that write requests into one socket corrupt both, so the child gets connections of its
own.
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

from opentelemetry import trace

from clew.core import otel_private
from clew.core.containment import contain
from clew.core.weak_map import WeakById
from clew.export.delivery_processor import Delivery
from clew.export.exit_deadline import begin_exit, possible_exit, seconds_left
from clew.patching.import_hooks import when_imported
from clew.patching.undo import UndoStack
from clew.propagation.fork_exit import ForkExit

_LOG_GRACE_SECONDS = 0.2
"""Added to the time of the flush, to log what did not arrive."""
_FLUSH_PRIORITY = -50
"""Among multiprocessing's finalizers: after all that may still make spans."""
_NEVER_UNDONE = UndoStack("preparing for child processes")


class _ChildProcesses:
    """Flushes and reconnects the exporters of registered providers in child processes."""

    def __init__(self) -> None:
        self.providers = WeakById[bool]()
        """The providers that clew was started with."""
        self.after_last_flush: list[Callable[[], None]] = []
        self._registered = False
        self._exit = ForkExit(self.flush_unless_ended)
        self._has_ended = False
        """Whether this process has been flushed for the last time."""

    def add(self, provider: object) -> None:
        """Care for the exporters of *provider*."""
        self.providers[provider] = True
        self.register_hooks()
        self._exit.wrap()

    def remove(self, provider: object) -> None:
        """Undo `add`, except for the hooks."""
        self.providers.discard(provider)
        if not self.is_used():
            self._exit.unwrap()

    def register_hooks(self) -> None:
        """Register, once, the hooks of ``os`` and ``multiprocessing``: they cannot be removed."""
        if self._registered:
            return
        self._registered = True
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.before_fork, after_in_child=self.after_fork)
        when_imported("multiprocessing.util", self.hook_multiprocessing, _NEVER_UNDONE)

    def hook_multiprocessing(self, util: Any) -> None:
        """Flush at the end of multiprocessing's child processes, this one included."""
        try:
            util.register_after_fork(self, _ChildProcesses.flush_known_at_exit)
            self.flush_known_at_exit()
        except Exception:  # This runs in an import of the application's.
            contain("preparing the child processes of multiprocessing")

    def flush_known_at_exit(self) -> None:
        """As `flush_at_exit`; nothing is flushed if clew is switched off in the end.

        The hook stays when clew is switched off, and it may be switched on again in the child.
        """
        _when_child_ends(self.flush_last_of_known)

    def flush_at_exit(self) -> None:
        """Flush when this process ends, if it is a child process of multiprocessing's."""
        _when_child_ends(self.flush_last)

    def flush_last_of_known(self) -> None:
        if self.is_used():
            self.flush_last()

    def is_used(self) -> bool:
        """Whether clew is switched on."""
        return any(True for _ in self.providers)

    def flush_last(self) -> None:
        """Export what is left, within limits: a dead collector must not keep the process alive."""
        begin_exit()
        self._has_ended = True
        self.flush_and_call()

    def flush_unless_ended(self) -> None:
        """Flush before ``os._exit``: a process of multiprocessing's has just been flushed."""
        if not self._has_ended:
            self.flush_perhaps_last()

    def flush_perhaps_last(self) -> None:
        """As `flush_last`, but nothing is limited any more if the process goes on after all."""
        with possible_exit():
            self.flush_and_call()

    def flush_and_call(self) -> None:
        """Export what is left, and call who waits for that."""
        self.flush()
        for callback in self.after_last_flush:
            try:
                callback()
            except Exception:
                contain("ending a process")

    def flush(self) -> None:
        """Export what is left, in as much time as the end of a process would take."""
        other = trace.get_tracer_provider()
        providers = [*self.providers, *([] if self.providers.get(other) else [other])]
        flushes = [
            flush for provider in providers if (flush := getattr(provider, "force_flush", None))
        ]

        def flush_all() -> None:
            for flush in flushes:
                flush()

        # The caller may be holding locks, so in a thread; no process waits for a daemon's end.
        thread = threading.Thread(target=flush_all, name="clew-last-flush", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Since Python 3.12 no thread can be started at the very end.
            flush_all()
        else:
            thread.join(seconds_left() + _LOG_GRACE_SECONDS)

    def before_fork(self) -> None:
        if self.is_used():
            _before_fork()

    def after_fork(self) -> None:
        """Give the exporters connections of their own, and flush at the end, in a child process."""
        self._exit.note_fork()
        self._has_ended = False
        try:
            for exporter in {it for provider in self.providers for it in _exporters(provider)}:
                _renew_connections(exporter)
        except Exception:
            contain("renewing connections after a fork")
        try:
            if self.is_used():
                self._exit.wrap()
        except Exception:
            contain("preparing the end of a forked process")


def _when_child_ends(flush: Callable[[], None]) -> None:
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        util = sys.modules["multiprocessing.util"]
        util.Finalize(None, flush, exitpriority=_FLUSH_PRIORITY)
        # Where atexit is run after all, a SIGTERM would interrupt the provider's shutdown.
        atexit.register(flush)


_children = _ChildProcesses()
_connections_of_parent: list[object] = []
"""Kept alive: if they were collected, they would be closed under a lock that may be held."""


def support_child_processes(provider: object, undo: UndoStack) -> None:
    """Let the exporters of *provider* work in child processes."""
    undo.add(partial(_children.remove, provider))
    _children.add(provider)


def flush_last_spans() -> None:
    """Export what is left, in a process that is about to end without running ``atexit``."""
    _children.flush_last()


def after_last_flush(callback: Callable[[], None]) -> None:
    """Call *callback* at the end of a process that runs no ``atexit``, once its spans are exported.

    It may be called more than once, and ``atexit`` may be run after all.
    """
    _children.after_last_flush.append(callback)


def flush_spans() -> None:
    """Export what is left, in as much time as the end of a process would take."""
    _children.flush()


def flush_perhaps_last_spans() -> None:
    """As `flush_last_spans`, but nothing is limited any more if the process goes on after all."""
    _children.flush_perhaps_last()


def flush_when_ended() -> None:
    """Flush when this process ends, also when its pool is terminated; in a child process only.

    ``with multiprocessing.Pool()`` ends its workers by SIGTERM. They still die of it, after a
    flush. A process that has a handler of its own keeps that.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return  # A pool of threads.
    _children.flush_at_exit()
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _flush_and_die)


def _flush_and_die(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # A second one must not cut the flush short.
    _children.flush_last()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _before_fork() -> None:
    """Import what an exporter's thread may be importing: in the child that would never finish.

    requests imports netrc in its first request, and holds the lock of that import meanwhile.
    """
    try:
        if "requests" in sys.modules:
            import_module("netrc")
    except Exception:
        contain("preparing for a fork")


def _exporters(provider: Any) -> Iterator[Any]:
    for processor in otel_private.span_processors(provider):
        if isinstance(processor, Delivery):
            yield from processor.span_exporters
        elif (exporter := getattr(processor, "span_exporter", None)) is not None:
            yield exporter


def _renew_connections(exporter: Any) -> None:
    """Give *exporter* connections of its own, without touching a lock of the parent process.

    The OTLP/HTTP exporter holds a ``requests.Session``, itself or in the transport of its client,
    or a ``urllib3.PoolManager`` there.
    """
    if (session := otel_private.http_session(exporter)) is not None:
        for prefix, adapter in list(getattr(session, "adapters", {}).items()):
            _connections_of_parent.append(adapter)
            session.mount(prefix, copy(adapter))  # A copy has the settings, and no connection.
        session.cookies = copy(session.cookies)  # The cookie jar has a lock, too.
    pool = otel_private.connection_pool(exporter)
    if pool is not None and hasattr(pool, "connection_pool_kw"):
        _connections_of_parent.append(pool)
        of_child = type(pool)(headers=pool.headers, **pool.connection_pool_kw)
        otel_private.set_connection_pool(exporter, of_child)
