"""Wraps functions of other packages and unwraps them again. All wrappers of clew's are made here.

Other libraries wrap the same functions. So each wrapper knows to which `Patches` it belongs, and
they can be undone in any order: an outermost wrapper is removed, and one that somebody else has
wrapped stays in place, but only passes calls on.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from inspect import getattr_static, isclass
from types import ModuleType
from typing import Any

from wrapt import BoundFunctionWrapper, FunctionWrapper, resolve_path

from clew.patching.import_hooks import ImportCallbacks
from clew.patching.subclasses import change_with_subclasses
from clew.patching.undo import Undo, UndoStack

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
Place = tuple[Any, str, Wrapper]
"""A class, module or object, the name of a function in it, and the wrapper for that."""


_INHERITED = "_self_inherited"
"""Whether the class inherits the function. wrapt keeps names with this prefix on the wrapper."""


class _Switch(list[None]):
    """Whether the wrappers of one `Patches` are active: they are while this list is not empty.

    wrapt tests it in every call, and the truth value of a list needs no call of Python code.
    """


class Patches:
    """Wrappers that are made together, and undone together."""

    def __init__(
        self, wrapper_class: Callable[..., Any] = FunctionWrapper, doing: str = "wrapping"
    ) -> None:
        """Make each wrapper a *wrapper_class*, which is `wrapt.FunctionWrapper` or a subclass."""
        self._wrapper_class = wrapper_class
        self._switch = _Switch([None])
        self._undo = UndoStack(f"undoing: {doing}")
        self._callbacks = ImportCallbacks(doing, self._undo)

    def wrap(self, owner: str, name: str, wrapper: Wrapper) -> None:
        """Wrap the function *name* of *owner*, ``module:Class`` or ``module``, if it has that.

        This happens when the module is imported. If it fails, all of these wrappers are undone.
        """
        self.when_loaded(owner, partial(self._wrap_own, name=name, wrapper=wrapper))

    def when_loaded(self, owner: str, callback: Callable[[Any], Iterable[Undo]]) -> None:
        """Call *callback* with *owner*, ``module:Class`` or ``module``, when it is imported."""
        self._callbacks.when_loaded(owner, callback)

    def wrap_now(self, places: Iterable[Place]) -> None:
        """Wrap all *places*, or none: if one cannot be wrapped, those before it are unwrapped."""
        try:
            for owner, name, wrapper in places:
                self._undo.add(partial(self.unwrap_one, owner, name))
                self.wrap_one(owner, name, wrapper)
        except BaseException:
            self.undo()
            raise

    def wrap_one(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Wrap one function; the caller has to call `unwrap_one` at the end."""
        if not self._switch:
            return
        # Of a class, the function itself is wrapped; of an object, its bound method.
        find = getattr_static if isinstance(owner, type | ModuleType) else getattr
        found = find(owner, name)
        original, inherited = _skip_inactive(found)
        new = self._wrapper_class(original, wrapper, self._switch)
        setattr(new, _INHERITED, inherited or name not in vars(owner))
        setattr(owner, name, new)
        if not self._switch:  # Another thread has just called undo().
            self.unwrap_one(owner, name)

    def unwrap_one(self, owner: Any, name: str) -> None:
        """Remove the wrapper, if it is one of these and nobody has wrapped it."""
        if not self.wraps(owner, name):
            return
        found = _unbound(vars(owner).get(name))
        original, inherited = _skip_inactive(found.__wrapped__)
        if inherited or getattr(found, _INHERITED):
            delattr(owner, name)
        else:
            setattr(owner, name, original)

    def wraps(self, owner: Any, name: str) -> bool:
        """Tell whether the outermost wrapper of the function is one of these."""
        return _switch_of(vars(owner).get(name)) is self._switch

    def undo(self) -> None:
        """Make all of the wrappers inactive, and remove those that are outermost."""
        self._switch.clear()
        self._undo.undo()

    def _wrap_own(self, owner: Any, name: str, wrapper: Wrapper) -> Iterable[Undo]:
        if vars(owner).get(name) is not None:
            self.wrap_now([(owner, name, wrapper)])
        return ()


class _PicklableBound(BoundFunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A method of a `PicklableWrapper`: it is pickled and copied like a bound method of Python."""

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return getattr, (self._self_bound_to(), self.__wrapped__.__name__)

    def __copy__(self) -> "_PicklableBound":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        owner = self._self_bound_to()
        if isclass(owner):
            return self
        return getattr(deepcopy(owner, memo), self.__wrapped__.__name__)

    def _self_bound_to(self) -> Any:
        """Return the object that it is a method of, or the class for a static method."""
        owner = getattr(self.__wrapped__, "__self__", None)
        return self._self_owner if owner is None else owner  # wrapt has no public name for it


class PicklableWrapper(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A function wrapper that keeps the function's signature and kind, and can be pickled.

    It is pickled by its name, like a function. So a decorated function works in a process pool.
    """

    __bound_function_wrapper__ = _PicklableBound

    def __reduce_ex__(self, protocol: object) -> str:
        return self.__wrapped__.__qualname__

    def __copy__(self) -> "PicklableWrapper":
        return self

    def __deepcopy__(self, memo: object) -> "PicklableWrapper":
        return self


def is_active(function: Any) -> bool:
    """Tell whether *function* is anything but a wrapper of clew's that was undone.

    One that was undone inside somebody else's wrapper is still there when theirs is removed.
    """
    switch = _switch_of(function)
    return switch is None or bool(switch)


def _unbound(function: Any) -> Any:
    """Return the wrapper itself, if *function* is wrapt's bound form of it.

    OpenTelemetry's `unwrap` gets the wrapper inside its own bound, and sets that on the class.
    """
    is_bound = isinstance(function, BoundFunctionWrapper)
    return function._self_parent if is_bound else function  # wrapt has no public name for it


def _switch_of(function: Any) -> _Switch | None:
    """Return the switch of *function*, if it is a wrapper of clew's."""
    function = _unbound(function)
    if not isinstance(function, FunctionWrapper):
        return None
    switch: object = function._self_enabled  # wrapt has no public name for it
    return switch if isinstance(switch, _Switch) else None


def _skip_inactive(function: Any) -> tuple[Any, bool]:
    """Return what inactive wrappers around *function* wrap, and whether it was inherited."""
    inherited = False
    while not is_active(function):
        wrapper = _unbound(function)
        function, inherited = wrapper.__wrapped__, getattr(wrapper, _INHERITED)
    return function, inherited


def wrap_functions(module: Any, wrappers: Mapping[str, Callable[..., Any]]) -> Callable[[], None]:
    """Wrap functions of *module*, given their wrappers by path; return what undoes it."""
    return wrap_in_modules({module: wrappers})


def wrap_in_modules(modules: Mapping[Any, Mapping[str, Callable[..., Any]]]) -> Callable[[], None]:
    """Wrap functions of several modules, which are given themselves or by name: all, or none."""
    patches = Patches()
    patches.wrap_now(
        (*resolve_path(module, path)[:2], wrapper)
        for module, wrappers in modules.items()
        for path, wrapper in wrappers.items()
    )
    return patches.undo


def wrap_with_subclasses(owner: Any, wrappers: Mapping[str, Any]) -> Callable[[], None]:
    """Wrap methods of *owner* and of all its subclasses, given their wrappers by name."""
    patches = Patches(PicklableWrapper)
    wrap, unwrap = partial(_wrap, patches, wrappers), partial(_unwrap, patches, wrappers)
    undo = UndoStack("unwrapping the methods of subclasses", patches.undo)
    try:
        change_with_subclasses(owner, wrap, unwrap, undo)
    except BaseException:
        undo.undo()
        raise
    return undo.undo


def _wrap(patches: Patches, wrappers: Mapping[str, Any], cls: Any) -> None:
    for name, wrapper in wrappers.items():
        method = vars(cls).get(name)
        # If it is wrapped already, the instrumentor has wrapped it.
        if callable(method) and not (isinstance(method, FunctionWrapper) and is_active(method)):
            patches.wrap_one(cls, name, wrapper)


def _unwrap(patches: Patches, wrappers: Mapping[str, Any], cls: Any) -> None:
    for name in wrappers:
        patches.unwrap_one(cls, name)
