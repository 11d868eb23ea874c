"""Wraps what a framework will load, and unwraps it again.

A framework loads its parts when they are used. Importing one to wrap something in it would cost
every application its time and memory, so that it is wrapped when the framework loads it.
"""

from collections.abc import Callable
from typing import Any

from wrapt import FunctionWrapper, register_post_import_hook, resolve_path

from clew.boundary import contain

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


class _Wrapped(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """What was wrapped here, so that nothing else is unwrapped."""


class Patches:
    """Wrappers that are put on together and taken off together."""

    def __init__(self) -> None:
        self._undone = False
        self._wrapped: list[tuple[Any, str]] = []

    def wrap(self, place: str, wrapper: Wrapper) -> None:
        """Wrap what is at *place*, ``module:Class.method``, as soon as that module is loaded.

        A release that has no such thing is left as it is.
        """
        module, _, path = place.partition(":")

        def loaded(found: Any) -> None:
            """Run right after an import, which it must not break."""
            if self._undone:
                return
            try:
                owner, name, original = resolve_path(found, path)
                setattr(owner, name, _Wrapped(original, wrapper))
                self._wrapped.append((owner, name))
            except AttributeError:
                return
            except Exception:  # noqa: BLE001 - the boundary to the application
                contain(f"wrapping {place}")

        register_post_import_hook(loaded, module)

    def undo(self) -> None:
        """Take all off, where nobody has wrapped over it."""
        self._undone = True
        for owner, name in reversed(self._wrapped):
            if isinstance(wrapped := vars(owner).get(name), _Wrapped):
                setattr(owner, name, wrapped.__wrapped__)
        self._wrapped.clear()
