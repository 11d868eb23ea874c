"""Changes a class and all its subclasses, including those defined later, and undoes it.

Subclasses override the methods of a framework: LangGraph's graphs are LangChain's runnables and
imported after it, and applications define their own models and modules.
"""

from collections.abc import Callable, Iterator
from typing import Any

from clew.core.containment import contain

_ABSENT = object()
Undo = Callable[[], None]


def change_with_subclasses(
    owner: Any, change: Callable[[Any], object], change_back: Callable[[Any], object]
) -> Undo:
    """Apply *change* to *owner* and every subclass; return what applies *change_back* to them."""
    for cls in [owner, *_subclasses(owner)]:
        change(cls)
    stop = _change_new_subclasses(owner, change)

    def undo() -> None:
        stop()
        for cls in [owner, *_subclasses(owner)]:
            change_back(cls)

    return undo


def _subclasses(cls: Any) -> Iterator[Any]:
    for subclass in type.__subclasses__(cls):
        yield subclass
        yield from _subclasses(subclass)


def _change_new_subclasses(owner: Any, change: Callable[[Any], object]) -> Undo:
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
            contain(f"following the subclasses of {owner.__qualname__}")

    replacement = classmethod(init_subclass)
    type.__setattr__(owner, "__init_subclass__", replacement)

    def undo() -> None:
        nonlocal active
        active = False
        if vars(owner).get("__init_subclass__") is not replacement:
            return  # Somebody else has wrapped it; from now on it only calls the original.
        if original is _ABSENT:
            del owner.__init_subclass__
        else:
            type.__setattr__(owner, "__init_subclass__", original)

    return undo
