"""Lets a process fork only while no exporter is inside SQLite, and none has a store open.

SQLite has locks and lists of open files for the whole process. A child that inherits them may wait
for ever for a thread that it does not have, or believe that it holds locks on the file that only
its parent holds. So exporters close their files before a fork; they open them again when needed.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakSet

_MOST_SECONDS = 10.0
"""How long a fork waits, at most, for a thread that writes; it is milliseconds, unless that thread
waits for another process, or imports what it needs on a busy machine."""


class _File(Protocol):
    def close(self) -> None: ...


_inside = threading.Lock()
_open_files: WeakSet[_File] = WeakSet()
_forking = threading.local()
"""Whether this thread holds the lock because it forks."""


@contextmanager
def no_fork() -> Iterator[None]:
    """Let no thread fork meanwhile."""
    with _inside:
        yield


def close_before_fork(file: _File) -> None:
    """Close *file* whenever this process is about to fork. It is called within `no_fork`."""
    _open_files.add(file)


def _before_fork() -> None:
    _forking.holds = _inside.acquire(timeout=_MOST_SECONDS)
    if _forking.holds:
        for file in list(_open_files):
            file.close()


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
