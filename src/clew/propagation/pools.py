"""Pools of processes whose tasks run in the context of whoever submits them."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from opentelemetry.context import Context, attach

from clew.context.carry import carry
from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import Patches


def carry_initializer(
    initializer: Callable[..., object] | None = None, *initargs: object
) -> Callable[..., None]:
    """Return an initializer for a pool of processes whose tasks run in their submitter's context.

    ::

        with ProcessPoolExecutor(initializer=carry_initializer()) as pool:
            with using_session("chat-42"):
                pool.submit(answer, "why?")     # in chat-42
            pool.submit(answer, "what?")        # in no session

    Every function submitted to such a pool is carried: plain functions need no `carry`. As with a
    pool of threads, the context at the time of submission counts, and not the one in which the
    pool was made: a pool commonly outlives the block in which it was made, and serves several
    sessions at once. A context that a worker kept would put a wrong id on somebody else's span,
    which is worse than none.

    So a worker keeps nothing: a forked one leaves the context that it inherited. Only
    *initializer*, which is called with *initargs* and the pool's own, runs in the context in which
    `carry_initializer` was called. When a worker ends, also by SIGTERM, its last spans are exported
    first.

    It works for ``concurrent.futures.ProcessPoolExecutor`` and ``multiprocessing.Pool``, with any
    start method. Under spawn and forkserver a worker is a fresh interpreter, which needs
    ``instrument_all`` as well: ``carry_initializer(instrument_all)``. To other pools, submit
    ``carry(function)``.
    """
    _wrap_pools()
    first = None if initializer is None else carry(partial(initializer, *initargs))
    return _Initializer(first)


class _Initializer:
    """What each worker runs first; a pool that has one carries its tasks."""

    def __init__(self, first: Callable[..., object] | None) -> None:
        self._first = first

    def __call__(self, *initargs: object) -> None:
        attach(Context())
        if self._first is not None:
            self._first(*initargs)
        try:
            from clew.propagation.fork import flush_when_ended  # It needs the SDK

            flush_when_ended()
        except Exception:
            contain("starting a worker of a process pool")


_SUBMIT_METHODS = {
    "concurrent.futures.process": ("ProcessPoolExecutor", ("submit",)),
    "multiprocessing.pool": (
        "Pool",
        ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"),
    ),
}
_patches: list[Patches] = []
"""The wrappers around the methods of pools, while they are on."""
_initializers_made = False
"""Whether there may be pools whose tasks are to be carried."""


def _wrap_pools() -> None:
    global _initializers_made  # The classes of pools exist once per process, too
    _initializers_made = True
    if _patches:
        return
    try:
        _patches.append(patches := Patches())
        patches.wrap_now(
            (getattr(import_module(module), name), method, _submit)
            for module, (name, methods) in _SUBMIT_METHODS.items()
            for method in methods
        )
    except BaseException:
        uninstrument_pools()
        raise


def instrument_pools(undo: UndoStack) -> None:
    """Wrap the classes of pools again, if `carry_initializer` was called before an undo.

    *undo* also undoes what a later `carry_initializer` wraps.
    """
    undo.add(uninstrument_pools)
    if _initializers_made:
        _wrap_pools()


def uninstrument_pools() -> None:
    """Unwrap the classes of pools."""
    while _patches:
        _patches.pop().undo()


def _submit(
    wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    try:
        if isinstance(getattr(pool, "_initializer", None), _Initializer):
            if args and callable(args[0]):
                args = (carry(args[0]), *args[1:])
            elif callable(function := kwargs.get("func")):
                kwargs = {**kwargs, "func": carry(function)}
    except Exception:
        contain("packing the context of a task for a process pool")
    return wrapped(*args, **kwargs)
