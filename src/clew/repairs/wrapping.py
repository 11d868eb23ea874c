"""Puts wrappers around functions of an instrumentor, and takes them off again."""

from collections.abc import Callable, Mapping
from typing import Any

from wrapt import FunctionWrapper, resolve_path, wrap_function_wrapper


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
