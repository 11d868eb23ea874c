"""A lock under which clew is switched on and off, and that no thread waits for without end.

A plain lock would not do. The thread that switches clew on imports exporters, and a thread that
waits may be inside the import of the very same module: both would wait for ever.
"""

import os
from collections.abc import Callable
from threading import Condition, get_ident

from clew.patching.import_hooks import is_importing

_TIMEOUT = 10.0
"""Seconds to wait for another thread; a thread inside an import does not wait at all."""


class StartLock:
    """The lock, and what is to be done when it is released."""

    def __init__(self) -> None:
        self._condition = Condition()  # Held only while the attributes are read or changed.
        self._owner: tuple[int, int] | None = None
        self._on_release: list[Callable[[], None]] = []

    def acquire(self) -> bool:
        """Acquire the lock, or return False: this thread has it already, or may not wait for it."""
        this_thread = (os.getpid(), get_ident())
        timeout = 0 if is_importing() else _TIMEOUT
        with self._condition:
            if self._owner == this_thread or not self._condition.wait_for(self._is_free, timeout):
                return False
            self._owner = this_thread
            self._on_release = []
            return True

    def release(self) -> None:
        """Run the steps that `on_release` has collected, then release the lock."""
        while True:
            with self._condition:
                if not self._on_release:
                    self._owner = None
                    self._condition.notify_all()
                    return
                steps, self._on_release = self._on_release, []
            for step in steps:
                step()

    def on_release(self, step: Callable[[], None]) -> bool:
        """Let the owner run *step* before it releases the lock; return False if it has no owner."""
        with self._condition:
            if self._is_free():
                return False
            self._on_release.append(step)
            return True

    def _is_free(self) -> bool:
        # After a fork, the thread that had it may not exist any more.
        return self._owner is None or self._owner[0] != os.getpid()
