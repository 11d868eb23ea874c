"""Wraps what a framework will load, and unwraps it again."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from wrapt import FunctionWrapper

from clew.loading import Parts, Undo

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


class _Wrapped(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """What was wrapped here, so that nothing else is unwrapped."""


class Patches:
    """Wrappers that are put on together, each when its module is loaded, and taken off together."""

    def __init__(self) -> None:
        self._parts = Parts("wrapping")

    def wrap(self, owner: str, name: str, wrapper: Wrapper) -> None:
        """Wrap what *owner*, ``module:Class`` or ``module``, calls *name*, if it has that."""
        self._parts.when_loaded(owner, partial(_wrap, name=name, wrapper=wrapper))

    def undo(self) -> None:
        """Take all off, where nobody has wrapped over it."""
        self._parts.undo()


def _wrap(owner: Any, name: str, wrapper: Wrapper) -> Iterator[Undo]:
    original = vars(owner).get(name)
    if original is not None:
        setattr(owner, name, _Wrapped(original, wrapper))
        yield partial(_unwrap, owner, name)


def _unwrap(owner: Any, name: str) -> None:
    if isinstance(wrapped := vars(owner).get(name), _Wrapped):
        setattr(owner, name, wrapped.__wrapped__)
