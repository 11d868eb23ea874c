"""Rows of `clew_evaluations`: their numbers, and how they are added."""

from collections.abc import Sequence
from secrets import randbits
from threading import Lock
from time import time_ns
from typing import Any

from clew.sessions.copies import MILLION, NUMBER_BITS
from clew.sessions.engines.engine import Engine

TABLE = "clew_evaluations"


class _Numbers:
    """Numbers for evaluations, which grow, and which no other process has.

    They begin with the time in milliseconds, and end with bits that are drawn.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._next = 0

    def __call__(self, how_many: int) -> list[int]:
        """Return so many numbers that were not returned before."""
        drawn = (time_ns() // MILLION << NUMBER_BITS) + randbits(NUMBER_BITS)
        with self._lock:
            first = max(drawn, self._next)
            self._next = first + how_many
        return list(range(first, first + how_many))


new_numbers = _Numbers()


def insert(tables: Engine, given: Sequence[dict[str, Any]]) -> list[int]:
    """Add rows, in one block; return their numbers."""
    numbers = new_numbers(len(given))
    tables.insert(TABLE, [{**row, "id": it} for it, row in zip(numbers, given, strict=True)])
    return numbers
