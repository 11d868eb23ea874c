"""Keeps a fork waiting for a moment while a thread is inside SQLite.

SQLite has locks for the whole process. If a thread holds one while another thread forks, nobody in
the child gives it back, and whoever opens a store there waits for ever.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_SECONDS = 1.0
"""How long a fork waits at most. Only a thread that waits for another process takes longer, and
that one sleeps most of the time, without those locks."""

_inside = threading.Lock()
_forking = threading.local()
"""Whether this thread holds the lock because it forks."""


@contextmanager
def in_sqlite() -> Iterator[None]:
    """Let no other thread fork meanwhile."""
    with _inside:
        yield


def _before_fork() -> None:
    _forking.holds = _inside.acquire(timeout=_MOST_SECONDS)


def _after_fork_in_parent() -> None:
    if _forking.holds:
        _inside.release()


def _after_fork_in_child() -> None:
    global _inside
    _inside = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
