"""Pools of processes whose tasks run in the context of whoever submits them."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from opentelemetry.context import Context, attach

from clew.context.carry import carry
from clew.core.containment import contain
from clew.patching.wrap import Patches
from clew.propagation.fork import flush_when_ended


def carry_initializer(
    initializer: Callable[..., object] | None = None, *initargs: object
) -> Callable[..., None]:
    """Return an initializer for a pool of processes whose tasks belong to who submits them.

    ::

        with ProcessPoolExecutor(initializer=carry_initializer()) as pool:
            with using_session("chat-42"):
                pool.submit(answer, "why?")     # in chat-42
            pool.submit(answer, "what?")        # in no session

    Every function submitted to such a pool is carried: plain functions need no `carry`. It goes by
    the moment of submission, as with a pool of threads, and not by the moment in which the pool was
    made. A pool commonly outlives the block that happened to make it, and serves several sessions
    at once; whatever a worker kept for itself would then be a wrong id on somebody else's span,
    which is worse than none.

    So a worker keeps nothing: a forked one leaves the context that it inherited. Only
    *initializer*, which is called with *initargs* and the pool's own, runs in the context of this
    moment. When a worker ends, also by SIGTERM, its last spans are exported first.

    It works for ``concurrent.futures.ProcessPoolExecutor`` and ``multiprocessing.Pool``, with any
    start method. Under spawn and forkserver a worker is a fresh interpreter, which needs
    ``instrument_all`` as well: ``carry_initializer(instrument_all)``. To other pools, submit
    ``carry(function)``.
    """
    _watch_pools()
    first = None if initializer is None else carry(partial(initializer, *initargs))
    return _Initializer(first)


class _Initializer:
    """What each worker runs first, and by which a pool is recognised."""

    def __init__(self, first: Callable[..., object] | None) -> None:
        self._first = first

    def __call__(self, *initargs: object) -> None:
        attach(Context())
        if self._first is not None:
            self._first(*initargs)
        try:
            flush_when_ended()
        except Exception:
            contain("following a process of a pool")


_SUBMITTING = {
    "concurrent.futures.process": ("ProcessPoolExecutor", ("submit",)),
    "multiprocessing.pool": (
        "Pool",
        ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"),
    ),
}
_watching: list[Patches] = []
"""The wrappers around the methods of pools, while they are on."""
_pools_made = False
"""Whether there may be pools whose tasks are to be carried."""


def _watch_pools() -> None:
    global _pools_made  # The classes of pools are one per process as well
    _pools_made = True
    if _watching:
        return
    patches = Patches()
    patches.wrap_now(
        (getattr(import_module(module), name), method, _submitting)
        for module, (name, methods) in _SUBMITTING.items()
        for method in methods
    )
    _watching.append(patches)


def follow_pools() -> Callable[[], None]:
    """Watch the pools that `carry_initializer` was made for, also after it was undone before.

    Return what takes back what was changed in the classes of pools, now or later.
    """
    if _pools_made:
        _watch_pools()
    return leave_pools


def leave_pools() -> None:
    """Take back what was changed in the classes of pools."""
    while _watching:
        _watching.pop().undo()


def _submitting(
    submit: Callable[..., Any], pool: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    try:
        if isinstance(getattr(pool, "_initializer", None), _Initializer):
            if arguments and callable(arguments[0]):
                arguments = (carry(arguments[0]), *arguments[1:])
            elif callable(function := named.get("func")):
                named = {**named, "func": carry(function)}
    except Exception:
        contain("carrying a task into a pool")
    return submit(*arguments, **named)
