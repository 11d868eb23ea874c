"""Counts what clew dropped or refused, so that nothing is lost without a number."""

from collections import Counter
from threading import Lock

_counts: Counter[str] = Counter()
_lock = Lock()


def count(what: str) -> None:
    """Add one to the count of *what*."""
    with _lock:
        _counts[what] += 1


def counted() -> dict[str, int]:
    """Return a copy of all counts so far."""
    with _lock:
        return dict(_counts)
