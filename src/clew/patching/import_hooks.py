"""Runs callbacks when a module is imported, without importing any."""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from threading import Lock
from types import FrameType
from typing import Any

from clew.core.containment import contain
from clew.patching.finder import HookFinder
from clew.patching.undo import Undo, UndoStack

logger = logging.getLogger("clew")

Callback = Callable[[Any], None]

_lock = Lock()  # Held only to access _callbacks, never while anything is imported or called.
_callbacks: dict[str, list[Callback]] = {}
"""What is called when each module is imported. An awaited module stays here until then."""


def when_imported(name: str, callback: Callback, undo: UndoStack) -> None:
    """Call *callback* with the module *name* right after its import; at once if it is imported.

    *callback* must not raise: that import would fail. *undo* removes it.
    """
    remove = partial(_remove_callback, name, callback)
    undo.add(remove)
    with _lock:
        _callbacks.setdefault(name, []).append(callback)
        _finder.install()
    module = sys.modules.get(name)
    # If the finder has found it, and it is being imported, the callback is called in the end.
    if module is not None and not (_finder.is_importing(name) and is_being_imported(module)):
        _run_callbacks(name, module)
    if not undo.is_open:  # Undone by another thread meanwhile.
        remove()


def is_being_imported(module: Any) -> bool:
    """Tell whether *module* is still being imported, by this thread or another one."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def wait_for_import(name: str) -> None:
    """Wait until the module *name* is imported, if another thread is importing it."""
    try:
        import_module(name)
    except Exception:
        logger.debug("the import of %s failed", name, exc_info=True)


def is_from_unfinished_import(error: BaseException | None) -> bool:
    """Tell whether *error* is due to an import that another thread or a caller has not finished."""
    while error is not None:
        if type(error).__name__ == "_DeadlockError" or "partially initialized module" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_importing() -> bool:
    """Tell whether this thread is inside the import of any module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


def _run_callbacks(name: str, module: Any) -> None:
    with _lock:
        callbacks = _callbacks.pop(name, [])
    for callback in callbacks:
        try:
            callback(module)
        except Exception:
            contain(f"running the import hook of {name}")


def _remove_callback(name: str, callback: Callback) -> None:
    with _lock:
        callbacks = _callbacks.get(name, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not any(_callbacks.values()):
            _finder.remove()


_finder = HookFinder(lambda name: name in _callbacks, _run_callbacks)


class ImportCallbacks:
    """Callbacks for the imports of several modules, with what undoes their effects."""

    def __init__(self, doing: str, undo: UndoStack) -> None:
        """Add what undoes the effects to *undo*; after it was used, no callback is run any more."""
        self._doing = doing
        self._undo = undo

    def when_loaded(self, owner: str, callback: Callable[[Any], Iterable[Undo]]) -> None:
        """Call *callback* with *owner*, ``module:Class`` or ``module``, when it is imported.

        *callback* returns functions that undo its effects, each made before or after it is
        returned, and each of which may be called twice.
        """
        module = owner.partition(":")[0]
        when_imported(module, partial(self._run, owner, callback), self._undo)

    def _run(self, owner: str, callback: Callable[[Any], Iterable[Undo]], module: Any) -> None:
        """Run *callback* right after the import of *module*. Must not raise: it would fail."""
        if not self._undo.is_open:
            return
        name = owner.partition(":")[2]
        try:
            found = getattr(module, name, None) if name else module
            if found is not None:  # Some releases of a framework do not have it.
                self._add_steps(callback(found))
        except Exception:
            contain(f"{self._doing} {owner}")

    def _add_steps(self, steps: Iterable[Undo]) -> None:
        """Add *steps*; if all was undone meanwhile, run them, and make no more changes."""
        added = []
        for step in steps:
            self._undo.add(step)
            if not self._undo.is_open:
                break
            added.append(step)
        if not self._undo.is_open:
            for step in reversed(added):  # Once more: the change may have been made since.
                step()
