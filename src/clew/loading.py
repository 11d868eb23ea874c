"""Acts on each part of a framework once it is loaded, and imports none for it."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from wrapt import register_post_import_hook

from clew.boundary import contain

Undo = Callable[[], None]


class Parts:
    """The parts of one framework that were acted on, or wait to be loaded, until it is undone.

    wrapt cannot unregister a hook: one that comes too late does nothing.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._steps: list[Undo] | None = []

    def when_loaded(self, owner: str, act: Callable[[Any], Iterable[Undo]]) -> None:
        """Call *act* with *owner*, ``module:Class`` or ``module``, when the module is loaded."""
        module = owner.partition(":")[0]
        register_post_import_hook(partial(self._loaded, owner, act), module)

    def _loaded(self, owner: str, act: Callable[[Any], Iterable[Undo]], module: Any) -> None:
        """Run right after the import of *module*. Must not raise: it would fail that import."""
        if self._steps is None:
            return
        name = owner.partition(":")[2]
        try:
            part = getattr(module, name, None) if name else module
            if part is not None:  # Otherwise a release of the framework that does not have it.
                self._steps.extend(act(part))
        except Exception:  # noqa: BLE001 - the boundary to the application
            contain(f"{self._doing} {owner}")

    def undo(self) -> None:
        """Take everything back, and act on nothing any more."""
        steps, self._steps = self._steps or [], None
        for step in reversed(steps):
            step()
