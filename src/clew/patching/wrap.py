"""Wraps functions of other packages and unwraps them again; everything in clew does it this way.

Other libraries wrap the same functions. So each wrapper knows whose it is, and the order in which
wrappers come off does not matter: what is outermost is taken off, and what somebody else has
wrapped meanwhile stays where it is and only passes calls on.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import getattr_static
from typing import Any

from wrapt import BoundFunctionWrapper, FunctionWrapper, resolve_path

from clew.patching.import_hooks import Parts, Undo, undo_all
from clew.patching.subclasses import throughout

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
Place = tuple[Any, str, Wrapper]
"""A class or module, the name of a function in it, and what to wrap around that."""


_INHERITED = "_self_inherited"
"""Whether the class had the function from a base. wrapt keeps such names on the wrapper."""


class _Switch(list[None]):
    """Whether the wrappers of one `Patches` act: they do while it is not empty.

    wrapt asks for its truth in every call, which for a list takes no call of Python code.
    """


class Patches:
    """Wrappers that are put on together, and taken off together."""

    def __init__(self, kind: Callable[..., Any] = FunctionWrapper, doing: str = "wrapping") -> None:
        """Make each wrapper a *kind*, a class of `wrapt.FunctionWrapper`'s."""
        self._kind = kind
        self._switch = _Switch([None])
        self._parts = Parts(doing)
        self._places: list[tuple[Any, str]] = []

    def wrap(self, owner: str, name: str, wrapper: Wrapper) -> None:
        """Wrap what *owner*, ``module:Class`` or ``module``, calls *name*, if it has that.

        It is done when the module is loaded. If it fails, all that was put on comes off.
        """
        self.when_loaded(owner, partial(self._wrap_own, name=name, wrapper=wrapper))

    def when_loaded(self, owner: str, act: Callable[[Any], Iterable[Undo]]) -> None:
        """Call *act* with *owner*, ``module:Class`` or ``module``, when the module is loaded."""
        self._parts.when_loaded(owner, act)

    def wrap_now(self, places: Iterable[Place]) -> None:
        """Wrap all *places*, or none: where one cannot be wrapped, those before it come off."""
        try:
            for owner, name, wrapper in places:
                self.put_on(owner, name, wrapper)
                self._places.append((owner, name))
        except BaseException:
            self.undo()
            raise

    def put_on(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Wrap one function; whoever calls this also calls `take_off` at the end."""
        if not self._switch:
            return
        found = getattr_static(owner, name)  # As it stands there: a class would bind it.
        original, inherited = _beneath(found)
        made = self._kind(original, wrapper, self._switch)
        setattr(made, _INHERITED, inherited or name not in vars(owner))
        setattr(owner, name, made)
        if not self._switch:  # Undone by another thread in this very moment.
            self.take_off(owner, name)

    def take_off(self, owner: Any, name: str) -> None:
        """Take the wrapper off, if it is one of these and nobody has wrapped over it."""
        made = _unbound(vars(owner).get(name))
        if _switch_of(made) is not self._switch:
            return
        original, inherited = _beneath(made.__wrapped__)
        if inherited or getattr(made, _INHERITED):
            delattr(owner, name)
        else:
            setattr(owner, name, original)

    def undo(self) -> None:
        """Let none of the wrappers act any more, and take off those that are outermost."""
        self._switch.clear()
        places, self._places = self._places, []
        steps = [partial(self.take_off, *place) for place in places]
        undo_all([*steps, self._parts.undo], "unwrapping")

    def _wrap_own(self, owner: Any, name: str, wrapper: Wrapper) -> Iterable[Undo]:
        if vars(owner).get(name) is not None:
            self.wrap_now([(owner, name, wrapper)])
        return ()


class PicklableWrapper(FunctionWrapper):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A function wrapper that keeps the function's signature and kind, and can be pickled.

    It is pickled as a function is: by its name. So a decorated function can go to a process pool.
    """

    def __reduce_ex__(self, protocol: object) -> str:
        return self.__wrapped__.__qualname__

    def __copy__(self) -> "PicklableWrapper":
        return self

    def __deepcopy__(self, memo: object) -> "PicklableWrapper":
        return self


def acts(function: Any) -> bool:
    """Tell whether *function* is anything but a wrapper of clew's that was undone.

    One that was undone under somebody else's wrapper is still there when theirs has come off.
    """
    switch = _switch_of(function)
    return switch is None or bool(switch)


def _unbound(function: Any) -> Any:
    """Return the wrapper itself, where *function* is what wrapt binds of it.

    OpenTelemetry's `unwrap` asks the class for the wrapper beneath its own, and puts that there.
    """
    bound = isinstance(function, BoundFunctionWrapper)
    return function._self_parent if bound else function  # wrapt's, and its only name


def _switch_of(function: Any) -> _Switch | None:
    """Return what switches *function*, if it is a wrapper of clew's."""
    function = _unbound(function)
    if not isinstance(function, FunctionWrapper):
        return None
    switch: object = function._self_enabled  # wrapt's, and its only name
    return switch if isinstance(switch, _Switch) else None


def _beneath(function: Any) -> tuple[Any, bool]:
    """Look beneath wrappers that do not act, for what they wrap and whether it was inherited."""
    inherited = False
    while not acts(function):
        made = _unbound(function)
        function, inherited = made.__wrapped__, getattr(made, _INHERITED)
    return function, inherited


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
    patches = Patches(PicklableWrapper)
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
