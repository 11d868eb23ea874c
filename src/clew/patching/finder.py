"""Finds modules whose import somebody waits for, and calls back when they are imported.

wrapt's finder would do, but it asks `importlib.util.find_spec`, which waits for the module's
parent, while Python holds the one lock of all imports. If another thread is importing the parent,
both wait for ever: as two threads do that make an application's first calls. This one waits for
nothing.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from wrapt import ObjectProxy


class HookFinder:
    """A finder for ``sys.meta_path``, which finds nothing itself: it asks those that come after."""

    def __init__(
        self, is_awaited: Callable[[str], bool], imported: Callable[[str, ModuleType], None]
    ) -> None:
        """Call *imported* with each module that *is_awaited*; it must not raise an error."""
        self._is_awaited = is_awaited
        self._imported = imported
        self._importing = set[str]()

    def install(self) -> None:
        """Come before all other finders, where this is not one of them."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Find nothing any more. Modules that are being imported are still called back with."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def is_importing(self, name: str) -> bool:
        """Whether the module *name* was found, and its import has not ended."""
        return name in self._importing

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how the module *name* is imported, if it is awaited."""
        if not self._is_awaited(name):
            return None
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None:
                continue
            spec: ModuleSpec | None = find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):  # A namespace package may have no loader.
                    self._importing.add(name)
                    loader: Any = _CallingLoader(spec.loader, self._executed)
                    spec.loader = loader
                return spec
        return None

    def _executed(self, name: str, module: ModuleType | None) -> None:
        """Call back with a module that was executed, or with none if that failed."""
        self._importing.discard(name)
        if module is not None:
            self._imported(name, module)


class _CallingLoader(ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A module's loader that calls back when it has executed the module."""

    def __init__(self, loader: Any, executed: Callable[[str, ModuleType | None], None]) -> None:
        super().__init__(loader)
        self._self_executed = executed

    def exec_module(self, module: ModuleType) -> None:
        """Execute *module*, which is to know its own loader, and not this one."""
        loader: Any = self.__wrapped__
        for owner, name in ((module, "__loader__"), (module.__spec__, "loader")):
            if getattr(owner, name, None) is self:
                setattr(owner, name, loader)
        try:
            loader.exec_module(module)
        except BaseException:
            self._self_executed(module.__name__, None)
            raise
        self._self_executed(module.__name__, module)
