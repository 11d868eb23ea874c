"""Wraps functions that a repair follows, given by their paths or in a class and its subclasses."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from wrapt import FunctionWrapper, resolve_path

from clew.context.decorators import Decorated
from clew.patching.import_hooks import undo_all
from clew.patching.subclasses import throughout
from clew.patching.wrap import Patches, acts


def wrapped(module: Any, wrappers: Mapping[str, Callable[..., Any]]) -> Callable[[], None]:
    """Put each wrapper around the function at its path in *module*; return what undoes it."""
    return wrapped_in({module: wrappers})


def wrapped_in(modules: Mapping[Any, Mapping[str, Callable[..., Any]]]) -> Callable[[], None]:
    """Put wrappers around functions of several modules, given or by name: all, or none."""
    patches = Patches()
    patches.wrap_now(
        (*resolve_path(module, path)[:2], wrapper)
        for module, wrappers in modules.items()
        for path, wrapper in wrappers.items()
    )
    return patches.undo


def wrapped_throughout(owner: Any, wrappers: Mapping[str, Any]) -> Callable[[], None]:
    """Put each wrapper around the method of its name, in *owner* and in every subclass."""
    patches = Patches(Decorated)
    undo = throughout(owner, partial(_wrap, patches, wrappers), partial(_unwrap, patches, wrappers))
    return partial(undo_all, [undo, patches.undo], "unwrapping the methods of subclasses")


def _wrap(patches: Patches, wrappers: Mapping[str, Any], cls: Any) -> None:
    for name, wrapper in wrappers.items():
        method = vars(cls).get(name)
        # What is wrapped already, the instrumentor has wrapped.
        if callable(method) and not (isinstance(method, FunctionWrapper) and acts(method)):
            patches.put_on(cls, name, wrapper)


def _unwrap(patches: Patches, wrappers: Mapping[str, Any], cls: Any) -> None:
    for name in wrappers:
        patches.take_off(cls, name)
