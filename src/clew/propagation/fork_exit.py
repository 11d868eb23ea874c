"""Flushes a forked child process that ends with ``os._exit``, which skips ``atexit``.

Job queues end the child of each job so (RQ's default worker), and pre-forking servers their
workers. In such a child, and only there, ``os._exit`` first delivers the spans that wait. In any
other process it stays as it is: there it means to stop at once.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clew.core.containment import contain
from clew.patching.wrap import Patches

_FORKED_WITHOUT_EXEC = 0x40
"""Linux's PF_FORKNOEXEC, among the flags of a process."""
_FLAGS = 6
"""Where the flags are in ``/proc/self/stat``, counted from behind the name of the program."""


class ForkExit:
    """Whether this process is a forked child, and the wrapper of its ``os._exit``."""

    def __init__(self, flush: Callable[[], None]) -> None:
        """Call *flush*, which must end in time, before the process ends."""
        self._flush = flush
        self._is_child: bool | None = None
        self._patches: Patches | None = None

    def note_fork(self) -> None:
        """Remember, in a child, that this process is one."""
        self._is_child = True

    def wrap(self) -> None:
        """Wrap ``os._exit``, if this process is a forked child and that has not been done.

        No lock of the parent's is needed: a thread that does not exist here may hold it.
        """
        if self._is_child is None:
            self._is_child = _was_forked()
        if self._is_child and self._patches is None:
            self._patches = Patches(doing="flushing a forked process at its end")
            self._patches.wrap_now([(os, "_exit", self._exit)])

    def unwrap(self) -> None:
        """Undo `wrap`."""
        patches, self._patches = self._patches, None
        if patches is not None:
            patches.undo()

    def _exit(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            self._flush()
        except Exception:
            contain("flushing a forked process at its end")
        finally:  # Whatever comes meanwhile, such as Ctrl-C: the process ends, with this status.
            wrapped(*args, **kwargs)


def _was_forked() -> bool:
    """Whether this process was forked before clew could notice, where the system tells that.

    A worker that imports the application's modules only in the child of a job starts clew there.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        return bool(int(fields[_FLAGS]) & _FORKED_WITHOUT_EXEC)
    except (OSError, ValueError, IndexError):  # No such file system, or not Linux's own.
        return False
