"""Answers: results that took long to count are kept for a while, and counted again meanwhile.

Figures over all sessions of a large store take seconds. A page that shows them gets those that were
counted last, and says when that was; what is counted quickly is always counted anew.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic
from typing import Any

from clew.core.errors import ClewError

_QUICK_SECONDS = 0.05
_FRESH = 20
"""For how many times as long as it took to count an answer counts as fresh."""
_MOST_SECONDS = 900.0
_KEPT = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, and how many seconds ago it was counted."""

    value: Any
    age: float = 0.0


@dataclass(slots=True)
class _Kept:
    value: Any
    at: float
    took: float
    is_renewed: bool = False


class Answers:
    """The answers that took long."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, count: Callable[[], Any]) -> Answer:
        """Return what *count* returns, or has returned under this *key* before."""
        with self._lock:
            kept = self._kept.get(key)
            age = monotonic() - kept.at if kept else 0.0
            renew = kept is not None and age > kept.took * _FRESH and not kept.is_renewed
            if kept is not None and renew:
                kept.is_renewed = True
        if kept is None or age > _MOST_SECONDS:
            return Answer(self._count(key, count))
        if renew:
            Thread(target=self._renew, args=(key, count, kept), daemon=True).start()
        return Answer(kept.value, age)

    def _count(self, key: Hashable, count: Callable[[], Any]) -> Any:
        start = monotonic()
        value = count()
        end = monotonic()
        with self._lock:
            self._kept.pop(key, None)
            if end - start > _QUICK_SECONDS:
                self._kept[key] = _Kept(value, end, end - start)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return value

    def _renew(self, key: Hashable, count: Callable[[], Any], kept: _Kept) -> None:
        try:
            self._count(key, count)
        except (ClewError, sqlite3.Error):  # The store is busy, or has gone. Later, then.
            kept.is_renewed = False
