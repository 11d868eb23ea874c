"""UndoStack: undoes several changes as one, however many of them were made."""

from collections.abc import Callable
from contextlib import ExitStack
from threading import Lock

from clew.core.containment import contain

Undo = Callable[[], None]


class UndoStack:
    """Steps that each undo one change. All of them are run, the last one first.

    A step that raises is logged, and does not keep the others from running.
    """

    def __init__(self, doing: str, *steps: Undo) -> None:
        """Begin with *steps*; *doing* says in the log what a step that raised was part of."""
        self._doing = doing
        self._lock = Lock()  # Held only to access the attributes, never while a step runs.
        self._steps = ExitStack()
        self.is_open = True
        """False as soon as `undo` is called."""
        for step in steps:
            self.add(step)

    def add(self, step: Undo) -> None:
        """Add *step*; run it now if `undo` was called meanwhile.

        Add it before its change is made, and let it do nothing where that was not made: then
        nothing is left of a change that fails half-way.
        """
        with self._lock:
            if self.is_open:
                self._steps.callback(self._run, step)
                return
        self._run(step)

    def undo(self) -> None:
        """Run every step. A second call does nothing."""
        with self._lock:
            self.is_open = False
            steps = self._steps.pop_all()
        steps.close()

    def _run(self, step: Undo) -> None:
        try:
            step()
        except Exception:
            contain(self._doing)
