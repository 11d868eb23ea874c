"""Lets one thread at a time switch clew on or off, and no thread wait for another one for ever.

A lock would not do. Whoever switches clew on imports exporters, and who waits may be inside the
import of the very same module: both would wait for good.
"""

import os
from collections.abc import Callable
from threading import Condition, get_ident

from clew.patching.import_hooks import is_importing

_PATIENCE = 10.0
"""Seconds to wait for another thread; a thread inside an import does not wait at all."""


class Turns:
    """Whose turn it is, if anybody's."""

    def __init__(self) -> None:
        self._condition = Condition()  # Held for the bookkeeping only.
        self._owner: tuple[int, int] | None = None
        self._at_the_end: list[Callable[[], None]] = []

    def take(self) -> bool:
        """Take the turn, or return False: this thread has it already, or may not wait for it."""
        me = (os.getpid(), get_ident())
        patience = 0 if is_importing() else _PATIENCE
        with self._condition:
            if self._owner == me or not self._condition.wait_for(self._is_free, patience):
                return False
            self._owner = me
            self._at_the_end = []
            return True

    def give_back(self) -> None:
        """Let another thread have the turn, once all is done that could not wait for it."""
        while True:
            with self._condition:
                if not self._at_the_end:
                    self._owner = None
                    self._condition.notify_all()
                    return
                steps, self._at_the_end = self._at_the_end, []
            for step in steps:
                step()

    def at_the_end(self, step: Callable[[], None]) -> bool:
        """Have whoever has the turn run *step* at its end; return False where nobody has it."""
        with self._condition:
            if self._is_free():
                return False
            self._at_the_end.append(step)
            return True

    def _is_free(self) -> bool:
        # After a fork, the thread that had it may not exist any more.
        return self._owner is None or self._owner[0] != os.getpid()
