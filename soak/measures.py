"""What a process takes: file descriptors, threads and memory."""

import os
import threading
from pathlib import Path
from typing import NamedTuple


class Measures(NamedTuple):
    """What one process takes, or several together."""

    files: int
    threads: int
    megabytes: float


MOST_GROWTH = Measures(40, 16, 300)
"""How much more a process may take at the end: pools of threads and connections fill up."""


def growth(begin: Measures, end: Measures) -> list[str]:
    """Return what has grown by more than it may."""
    return [
        f"{name}: {before} to {after}"
        for name, before, after, most in zip(Measures._fields, begin, end, MOST_GROWTH, strict=True)
        if after - before > most
    ]


def measured() -> Measures:
    """Return what this process takes now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    files = len(list(Path("/proc/self/fd").iterdir())) - 1  # Without the folder itself.
    return Measures(files, threading.active_count(), round(megabytes, 1))


def total(measures: list[Measures]) -> Measures:
    """Return what several processes take together."""
    return Measures(*(round(sum(it), 1) for it in zip(*measures, strict=True)))
