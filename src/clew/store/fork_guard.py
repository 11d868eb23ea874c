"""Lets a process fork only while no thread is inside SQLite, and no store is open.

SQLite has locks and lists of open files for the whole process. A child that inherits them may wait
for ever for a thread that it does not have, or believe that it holds locks on the file that only
its parent holds. So whatever has a store open closes it before a fork; it is opened again, by the
parent and by the child, when it is used.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol
from weakref import WeakSet

from clew.core.containment import contain

logger = logging.getLogger("clew")

_MOST_SECONDS = 10.0
"""How long a fork waits, at most, for threads that use a store; it is milliseconds, unless one
waits for another process, summarises much, or imports what it needs on a busy machine."""


class OpenFile(Protocol):
    """Something that has the file of a store open."""

    def before_fork(self) -> None:
        """Close the file. Nobody is using it."""

    def after_fork(self) -> None:
        """In the child, forget what is the parent's, and close nothing of it."""


class _Users:
    """The threads that use a store now, whom a fork waits for; and others wait for the fork."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._number = 0
        self._is_forking = False

    def enter(self) -> None:
        with self._changed:
            while self._is_forking:
                self._changed.wait()
            self._number += 1

    def leave(self) -> None:
        with self._changed:
            self._number -= 1
            if not self._number:
                self._changed.notify_all()

    def begin_fork(self, ours: int, seconds: float) -> bool:
        """Keep others out until `end_fork`; return False if not all but *ours* leave in time."""
        until = monotonic() + seconds
        with self._changed:
            while self._is_forking:  # Another thread is.
                if not self._changed.wait(until - monotonic()):
                    return False
            self._is_forking = True
            while self._number > ours:
                if not self._changed.wait(max(0.0, until - monotonic())):
                    self._is_forking = False
                    self._changed.notify_all()
                    return False
            return True

    def end_fork(self) -> None:
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()


class _OfThread(threading.local):
    depth = 0
    """How many `no_fork` this thread is in."""
    keeps_others_out = False
    """Whether this thread is forking, and no other one uses a store."""


_users = _Users()
_this_thread = _OfThread()
_open_files: WeakSet[OpenFile] = WeakSet()


@contextmanager
def no_fork() -> Iterator[None]:
    """Let no other thread fork meanwhile. It may be entered again inside."""
    users = _users
    if not _this_thread.depth:
        users.enter()
    _this_thread.depth += 1
    try:
        yield
    finally:
        _this_thread.depth -= 1
        if not _this_thread.depth and users is _users:  # It is another one in a forked child.
            users.leave()


def close_before_fork(file: OpenFile) -> None:
    """Close *file* whenever this process is about to fork. It is called within `no_fork`."""
    _open_files.add(file)


def _before_fork() -> None:
    is_using = _this_thread.depth > 0  # Nothing of ours forks there.
    _this_thread.keeps_others_out = _users.begin_fork(int(is_using), _MOST_SECONDS)
    if not _this_thread.keeps_others_out:
        logger.warning(
            "clew: this process forks while a thread has been using a store for %g s; the child "
            "must not use that store",
            _MOST_SECONDS,
        )
        return
    _this_thread.depth += 1  # It does not wait for itself.
    for file in () if is_using else list(_open_files):
        try:
            file.before_fork()
        except Exception:
            contain("closing a store before a fork")


def _after_fork_in_parent() -> None:
    if _this_thread.keeps_others_out:
        _this_thread.keeps_others_out = False
        _this_thread.depth -= 1
        _users.end_fork()


def _after_fork_in_child() -> None:
    global _users
    _users = _Users()
    if _this_thread.keeps_others_out:
        _this_thread.keeps_others_out = False
        _this_thread.depth -= 1
    for file in list(_open_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
