"""Calls back when a module is loaded, and imports none for it.

wrapt cannot unregister an import hook. So there is at most one per module, however often clew is
switched on and off, and what it calls is kept here, where it can be forgotten.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from threading import Lock
from types import FrameType
from typing import Any

from wrapt import register_post_import_hook

from clew.core.containment import contain

logger = logging.getLogger("clew")

Undo = Callable[[], None]
Act = Callable[[Any], None]

_lock = Lock()  # Held for the bookkeeping only, never while anything is imported or called.
_waiting: dict[str, list[Act]] = {}
"""What is called when the module is loaded. A module stays here, once hooked, until it is."""


def when_imported(name: str, act: Act) -> Undo:
    """Call *act* with the module *name* right after its import; at once if it is there already.

    Return what forgets *act*. It must not raise: it would fail that import.
    """
    with _lock:
        hooked = name in _waiting
        _waiting.setdefault(name, []).append(act)
    if not hooked:
        register_post_import_hook(partial(_imported, name), name)
    elif (module := sys.modules.get(name)) is not None and not is_being_imported(module):
        _imported(name, module)  # Its import had begun before it was hooked.
    return partial(_forget, name, act)


def is_being_imported(module: Any) -> bool:
    """Tell whether *module* is still being imported, by this thread or another one."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def wait_for_import(name: str) -> None:
    """Wait until another thread is through with importing the module *name*, if one is at it."""
    try:
        import_module(name)
    except Exception:
        logger.debug("the import of %s failed", name, exc_info=True)


def failed_by_imports(error: BaseException | None) -> bool:
    """Tell whether an *error* comes of imports that other threads or callers are still at."""
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


def _imported(name: str, module: Any) -> None:
    with _lock:
        acts = _waiting.pop(name, [])
    for act in acts:
        try:
            act(module)
        except Exception:
            contain(f"following the import of {name}")


def _forget(name: str, act: Act) -> None:
    with _lock:
        acts = _waiting.get(name, [])
        if act in acts:
            acts.remove(act)


def undo_all(steps: Iterable[Undo], doing: str) -> None:
    """Run every step, the last one first, whatever another one raises."""
    with ExitStack() as stack:
        for step in steps:
            stack.callback(_contained, step, doing)


def _contained(step: Undo, doing: str) -> None:
    try:
        step()
    except Exception:
        contain(doing)


class Parts:
    """The parts of one framework that were acted on, or wait to be loaded, until it is undone."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._lock = Lock()
        self._open = True
        self._steps: list[Undo] = []

    def when_loaded(self, owner: str, act: Callable[[Any], Iterable[Undo]]) -> None:
        """Call *act* with *owner*, ``module:Class`` or ``module``, when the module is loaded."""
        module = owner.partition(":")[0]
        self._keep([when_imported(module, partial(self._loaded, owner, act))])

    def _loaded(self, owner: str, act: Callable[[Any], Iterable[Undo]], module: Any) -> None:
        """Run right after the import of *module*. Must not raise: it would fail that import."""
        if not self._open:
            return
        name = owner.partition(":")[2]
        try:
            part = getattr(module, name, None) if name else module
            if part is not None:  # Otherwise a release of the framework that does not have it.
                self._keep(act(part))
        except Exception:
            contain(f"{self._doing} {owner}")

    def _keep(self, steps: Iterable[Undo]) -> None:
        """Keep what undoes a part; run it at once where all has been undone meanwhile."""
        for step in steps:
            with self._lock:
                if self._open:
                    self._steps.append(step)
                    continue
            step()

    def undo(self) -> None:
        """Take everything back, and act on nothing any more."""
        with self._lock:
            self._open = False
            steps, self._steps = self._steps, []
        undo_all(steps, f"taking back: {self._doing}")
