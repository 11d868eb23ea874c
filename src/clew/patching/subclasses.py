"""Changes a class and all its subclasses, also those that are yet to be defined; and back.

Frameworks have their methods overridden: LangGraph's graphs are LangChain's runnables and imported
after it, and applications write models and modules of their own.
"""

from collections.abc import Callable, Iterator
from typing import Any

from clew.core.containment import contain

_ABSENT = object()
Undo = Callable[[], None]


def throughout(
    owner: Any, change: Callable[[Any], object], change_back: Callable[[Any], object]
) -> Undo:
    """Apply *change* to *owner* and every subclass; return what applies *change_back* to them."""
    for cls in [owner, *_subclasses(owner)]:
        change(cls)
    forget = _await_subclasses(owner, change)

    def undo() -> None:
        forget()
        for cls in [owner, *_subclasses(owner)]:
            change_back(cls)

    return undo


def _subclasses(cls: Any) -> Iterator[Any]:
    for subclass in type.__subclasses__(cls):
        yield subclass
        yield from _subclasses(subclass)


def _await_subclasses(owner: Any, change: Callable[[Any], object]) -> Undo:
    original = vars(owner).get("__init_subclass__", _ABSENT)
    waiting = True

    def init_subclass(cls: Any, /, **named: Any) -> None:
        if original is _ABSENT:
            super(owner, cls).__init_subclass__(**named)
        else:
            original.__get__(None, cls)(**named)
        try:
            if waiting:
                change(cls)
        except Exception:
            contain(f"following the subclasses of {owner.__qualname__}")

    mine = classmethod(init_subclass)
    type.__setattr__(owner, "__init_subclass__", mine)

    def undo() -> None:
        nonlocal waiting
        waiting = False
        if vars(owner).get("__init_subclass__") is not mine:
            return  # Somebody else has put theirs around it, which does nothing more from now on.
        if original is _ABSENT:
            del owner.__init_subclass__
        else:
            type.__setattr__(owner, "__init_subclass__", original)

    return undo
