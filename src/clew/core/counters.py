"""Counts what clew dropped or refused, so that `stats()` can report it."""

import os
from collections import Counter
from threading import RLock

_counts: Counter[str] = Counter()
_lock = RLock()  # Reentrant: garbage collection may run during `count` and call it again.


def count(what: str) -> None:
    """Add one to the count of *what*."""
    with _lock:
        _counts[what] += 1


def counted() -> dict[str, int]:
    """Return a copy of all counts so far."""
    with _lock:
        return dict(_counts)


def _reset() -> None:
    global _lock  # A thread of the parent process, which does not exist here, may hold it
    _lock = RLock()
    _counts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
