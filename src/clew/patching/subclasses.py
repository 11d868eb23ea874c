"""Changes a class and all its subclasses, including those defined later, and undoes it.

Subclasses override the methods of a framework: LangGraph's graphs are LangChain's runnables and
imported after it, and applications define their own models and modules.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.patching.undo import UndoStack

_ABSENT = object()


def change_with_subclasses(
    owner: Any,
    change: Callable[[Any], object],
    change_back: Callable[[Any], object],
    undo: UndoStack,
) -> None:
    """Apply *change* to *owner* and every subclass; *undo* applies *change_back* to them."""
    undo.add(partial(_apply, owner, change_back))
    _apply(owner, change)
    _change_new_subclasses(owner, change, undo)


def _apply(owner: Any, change: Callable[[Any], object]) -> None:
    for cls in [owner, *_subclasses(owner)]:
        change(cls)


def _subclasses(cls: Any) -> Iterator[Any]:
    for subclass in type.__subclasses__(cls):
        yield subclass
        yield from _subclasses(subclass)


def _change_new_subclasses(owner: Any, change: Callable[[Any], object], undo: UndoStack) -> None:
    original = vars(owner).get("__init_subclass__", _ABSENT)
    active = True

    def init_subclass(cls: Any, /, **kwargs: Any) -> None:
        if original is _ABSENT:
            super(owner, cls).__init_subclass__(**kwargs)
        else:
            original.__get__(None, cls)(**kwargs)
        try:
            if active:
                change(cls)
        except Exception:
            contain(f"wrapping the subclasses of {owner.__qualname__}")

    replacement = classmethod(init_subclass)

    def change_back() -> None:
        nonlocal active
        active = False
        if vars(owner).get("__init_subclass__") is not replacement:
            return  # Somebody else has wrapped it; from now on it only calls the original.
        if original is _ABSENT:
            del owner.__init_subclass__
        else:
            type.__setattr__(owner, "__init_subclass__", original)

    undo.add(change_back)
    type.__setattr__(owner, "__init_subclass__", replacement)
