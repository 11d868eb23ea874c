"""Limits how long an exiting process waits, in all, for its last spans to be exported."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from clew.core import settings

_ends_at: float | None = None


def begin_exit() -> None:
    """Note that the process is about to exit; from now on its time runs."""
    global _ends_at  # One for the process
    if _ends_at is None:
        _ends_at = monotonic() + settings.EXIT_TIMEOUT.read()


def is_exiting() -> bool:
    """Whether the process is exiting: `begin_exit` was called, or the interpreter is exiting."""
    if _ends_at is None and _is_interpreter_exiting():
        begin_exit()
    return _ends_at is not None


@contextmanager
def possible_exit() -> Iterator[None]:
    """Limit what runs inside as if the process were exiting; afterwards it may go on."""
    was_exiting = is_exiting()
    begin_exit()
    try:
        yield
    finally:
        if not was_exiting:
            _reset()


def _is_interpreter_exiting() -> bool:
    """Whether the threads that Python waits for have ended, and the functions of atexit run.

    The main thread counts as ended before Python waits for the others, which may work for days.
    """
    main = threading.main_thread()
    if main.is_alive():
        return False
    if threading.get_ident() == main.ident:
        return True  # It no longer waits: Ctrl-C ends that, and the others are not waited for.
    # A thread that Python has not started is a daemon, and is not always asked whether it is alive.
    return not any(not it.daemon and it.is_alive() for it in threading.enumerate())


def deadline(seconds: float) -> float:
    """Return the monotonic time at which something that may take *seconds* has to end.

    While the process is exiting, everything shares what is left of its time.
    """
    until = monotonic() + seconds
    return min(until, _ends_at) if is_exiting() and _ends_at is not None else until


def seconds_left() -> float:
    """Return how long the process may still wait."""
    return max(0.0, deadline(settings.EXIT_TIMEOUT.read()) - monotonic())


def _reset() -> None:
    global _ends_at
    _ends_at = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
