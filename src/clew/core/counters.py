"""Counts what clew dropped or refused, so that nothing is lost without a number."""

import os
from collections import Counter
from threading import RLock

_counts: Counter[str] = Counter()
_lock = RLock()  # What counts may be interrupted by the garbage collector, and that by what counts.


def count(what: str) -> None:
    """Add one to the count of *what*."""
    with _lock:
        _counts[what] += 1


def counted() -> dict[str, int]:
    """Return a copy of all counts so far."""
    with _lock:
        return dict(_counts)


def _begin_anew() -> None:
    global _lock  # A thread of the parent's may hold it, which is not here
    _lock = RLock()
    _counts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
