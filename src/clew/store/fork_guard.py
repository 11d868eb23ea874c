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
from threading import get_ident
from time import monotonic, sleep
from typing import Protocol
from weakref import WeakSet

from clew.core.containment import contain

logger = logging.getLogger("clew")

_MOST_SECONDS = 10.0
"""How long a fork waits, at most, for threads that use a store; it is milliseconds, unless one
waits for another process, summarises much, or imports what it needs on a busy machine."""
_MOST_SECONDS_OF_OTHERS = 1.0
"""How long others wait, at most, while a fork waits: for one that reads much, or for a lock that is
theirs."""
_PAUSE = 0.0005


class OpenFile(Protocol):
    """Something that has the file of a store open."""

    def before_fork(self) -> None:
        """Close the file. Nobody is using it."""

    def after_fork(self) -> None:
        """In the child, forget what is the parent's, and close nothing of it."""


class _Users:
    """The threads that use a store now, whom a fork waits for; and others wait for the fork.

    It has no lock: what a signal handler raises, and the garbage collector, which may close a
    store, can come between any two steps, and a lock would then be kept, or be asked for twice.
    Adding to a set, removing from it and comparing it are one step each.
    """

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._forking: set[int] = set()

    def enter(self) -> None:
        thread, until = get_ident(), 0.0
        while True:
            self._inside.add(thread)  # First: a fork names itself, and then looks who is inside.
            if not self._forking or (until and monotonic() > until):
                return
            self._inside.discard(thread)
            until = until or monotonic() + _MOST_SECONDS_OF_OTHERS
            sleep(_PAUSE)

    def leave(self) -> None:
        self._inside.discard(get_ident())

    def begin_fork(self) -> bool:
        """Keep others out until `end_fork`; return False if they do not leave in time."""
        thread, until = get_ident(), monotonic() + _MOST_SECONDS
        was_inside = thread in self._inside
        has_begun = False
        self._forking.add(thread)
        try:
            while True:
                self._inside.add(thread)  # Another fork waits for this one.
                if not self._inside - {thread}:
                    has_begun = True
                    break
                if not was_inside:
                    self._inside.discard(thread)
                if monotonic() > until:
                    break
                sleep(_PAUSE + thread % 1009 * 1e-6)  # Two forks do not look at the same moments.
        finally:
            if not has_begun:  # It takes too long, or what a signal handler raises has ended it.
                if not was_inside:
                    self._inside.discard(thread)
                self._forking.discard(thread)
        return has_begun

    def end_fork(self, *, leave: bool) -> None:
        if leave:
            self.leave()
        self._forking.discard(get_ident())


class _OfThread(threading.local):
    depth = 0
    """How many `no_fork` this thread is in."""
    forks = 0
    """How many forks this thread is in that keep others out: a hook of one may fork, too."""


_users = _Users()
_this_thread = _OfThread()
_open_files: WeakSet[OpenFile] = WeakSet()


@contextmanager
def no_fork() -> Iterator[None]:
    """Let no other thread fork meanwhile. It may be entered again inside."""
    users, depth = _users, _this_thread.depth
    try:
        if not depth:
            users.enter()
        _this_thread.depth = depth + 1
        yield
    finally:
        _this_thread.depth = depth
        if not depth and users is _users:
            users.leave()


def close_before_fork(file: OpenFile) -> None:
    """Close *file* whenever this process is about to fork. It is called within `no_fork`."""
    _open_files.add(file)


def _before_fork() -> None:
    if _this_thread.forks:
        _this_thread.forks += 1
        return
    is_using = _this_thread.depth > 0  # Nothing of ours forks there.
    if not _users.begin_fork():
        logger.warning(
            "clew: this process forks while a thread has been using a store for %g s; the child "
            "must not use that store",
            _MOST_SECONDS,
        )
        return
    _this_thread.forks = 1
    _this_thread.depth += 1  # It does not wait for itself.
    for file in () if is_using else list(_open_files):
        try:
            file.before_fork()
        except Exception:
            contain("closing a store before a fork")


def _after_fork_in_parent() -> None:
    if not _this_thread.forks:
        return
    _this_thread.forks -= 1
    if not _this_thread.forks:
        _this_thread.depth -= 1
        _users.end_fork(leave=not _this_thread.depth)


def _after_fork_in_child() -> None:
    global _users
    _users = _Users()
    if _this_thread.forks:
        _this_thread.forks = 0
        _this_thread.depth -= 1
    for file in list(_open_files):
        try:
            file.after_fork()
        except Exception:
            contain("forgetting a store that is open in the process that forked")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
