"""Limits how long an exiting process waits, in all, for its last spans to be exported."""

import os
import threading
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
    if _ends_at is None and not threading.main_thread().is_alive():
        begin_exit()  # All threads have ended, and the functions of atexit are running.
    return _ends_at is not None


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
