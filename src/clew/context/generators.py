"""What clew knows about Python's generators: which frame is one's, and who drives it.

`find_generator` tells from the stack whether a block is in a generator's body.
`first_step_unknown_to_loop` starts an asynchronous generator that no event loop is to close.
"""

import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable
from opcode import opmap
from types import FrameType
from typing import Any, NamedTuple, TypeVar

Y = TypeVar("Y")
S = TypeVar("S")

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_METHODS = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__"})
_FIXTURE_PACKAGES = ("_pytest", "pytest_asyncio")
"""Packages that drive generators as context managers, for the tests that run in between."""

_LOOP_INSTRUCTIONS = frozenset(
    opmap[name] for name in ("FOR_ITER", "GET_ANEXT", "GET_YIELD_FROM_ITER") if name in opmap
)
"""The instructions of ``for``, ``async for`` and ``yield from``."""


class GeneratorFrame(NamedTuple):
    """The frame of a generator in whose body a block is entered or left."""

    frame: FrameType
    driven_by_hand: bool
    """Whether a framework calls ``next`` or ``send`` itself. That may be to iterate or to use the
    generator as a context manager; the two cannot be told apart."""

    @property
    def line(self) -> tuple[str, int]:
        """The file and the line where the body is now."""
        return self.frame.f_code.co_filename, self.frame.f_lineno


def find_generator(frame: FrameType | None) -> GeneratorFrame | None:
    """Return the generator in whose body the block is that *frame* enters or leaves.

    A block that is entered by a context manager (an ``ExitStack``, a function with
    ``@contextmanager``, a class with ``__enter__``) belongs to whoever entered that one. None means
    that the block is a plain function's, which cannot be suspended while it is open.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_flags & _GENERATOR:
            driver = frame.f_back
            module = _module(driver)
            if module != "contextlib":
                # Decorated generators run in a context of their own, so their blocks are exact.
                package = module.partition(".")[0]
                if module == "clew.context.stepping" or package in _FIXTURE_PACKAGES:
                    return None
                return GeneratorFrame(frame, _is_driven_by_hand(frame, driver, module))
        elif code.co_name not in _METHODS and frame.f_globals.get("__name__") != "contextlib":
            return None
        frame = frame.f_back
    return None


def _module(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def _is_driven_by_hand(frame: FrameType, driver: FrameType | None, module: str) -> bool:
    """Whether *driver*, of another package, steps the generator without iterating over it.

    The standard library does that for the application: ``executor.submit(next, generator)``.
    """
    package = module.partition(".")[0]
    if driver is None or package == _module(frame).partition(".")[0]:
        return False
    if package in sys.stdlib_module_names or package in {"opentelemetry", "wrapt"}:
        return False
    recent = driver.f_code.co_code[max(0, driver.f_lasti - 6) : driver.f_lasti + 1 : 2]
    return _LOOP_INSTRUCTIONS.isdisjoint(recent)


def first_step_unknown_to_loop(body: AsyncGenerator[Y, S]) -> Awaitable[Y] | None:
    """Return the first step of *body*, without the event loop learning of the generator.

    A loop closes the asynchronous generators that it knows when they are garbage, or when it ends.
    It knows the driver, which closes the body inside its context. The finalizer that does nothing
    is needed: without any, the collector would close the body itself.
    """
    firstiter, finalizer = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, _do_not_finalize)
    try:
        return body.asend(None)  # type: ignore[arg-type]  # the first value sent is always None
    finally:
        sys.set_asyncgen_hooks(firstiter, finalizer)


def _do_not_finalize(_body: AsyncGenerator[Any, Any]) -> None:
    """Do nothing when a body is collected: its driver closes it."""
