"""Puts wrappers around functions that a repair follows, and takes them off again."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from wrapt import FunctionWrapper, resolve_path, wrap_function_wrapper

from clew.decorating import Decorated
from clew.subclasses import throughout


def wrapped(module: str, wrappers: Mapping[str, Callable[..., Any]]) -> Callable[[], None]:
    """Put each wrapper around the function at its path in *module*; return what undoes it."""
    for path, wrapper in wrappers.items():
        wrap_function_wrapper(module, path, wrapper)

    def undo() -> None:
        for path in wrappers:
            owner, name, function = resolve_path(module, path)
            if isinstance(function, FunctionWrapper):
                setattr(owner, name, function.__wrapped__)

    return undo


class _Own(Decorated):
    """A method that was wrapped in every class that has its own, and not by the instrumentor."""


def wrapped_throughout(owner: Any, wrappers: Mapping[str, Any]) -> Callable[[], None]:
    """Put each wrapper around the method of its name, in *owner* and in every subclass."""
    return throughout(owner, partial(_wrap, wrappers), partial(_unwrap, wrappers))


def _wrap(wrappers: Mapping[str, Any], cls: Any) -> None:
    for name, wrapper in wrappers.items():
        method = vars(cls).get(name)
        if callable(method) and not isinstance(method, FunctionWrapper):
            setattr(cls, name, _Own(method, wrapper))


def _unwrap(wrappers: Mapping[str, Any], cls: Any) -> None:
    for name in wrappers:
        method = vars(cls).get(name)
        if isinstance(method, _Own):
            setattr(cls, name, method.__wrapped__)
