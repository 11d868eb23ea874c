"""The end of the process: how long it may still wait, in all, for what is left to deliver."""

import os
import threading
from time import monotonic

from clew.core import settings

_ends_at: float | None = None


def leave() -> None:
    """Note that the process is about to end; its time begins to run."""
    global _ends_at  # There is one end
    if _ends_at is None:
        _ends_at = monotonic() + settings.EXIT_TIMEOUT.read()


def is_leaving() -> bool:
    """Whether the process is about to end: it was said, or the interpreter is at it."""
    if _ends_at is None and not threading.main_thread().is_alive():
        leave()  # All threads have been waited for; what runs now are the functions of atexit.
    return _ends_at is not None


def deadline(seconds: float) -> float:
    """Return the moment, in monotonic time, until which something may take *seconds*.

    At the end of the process everybody shares what is left of its time.
    """
    until = monotonic() + seconds
    return min(until, _ends_at) if is_leaving() and _ends_at is not None else until


def seconds_left() -> float:
    """Return how long the process may still wait."""
    return max(0.0, deadline(settings.EXIT_TIMEOUT.read()) - monotonic())


def _stay() -> None:
    global _ends_at
    _ends_at = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay)
