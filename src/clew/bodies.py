"""A block entered in the body of a generator: does it apply now, or is the consumer running?

A generator runs in its consumer's context, so a ``with`` block in its body would give its session
to the consumer between two items. While the body waits at a ``yield`` its frame is on no stack,
which can be seen; then the block does not apply. A generator that is driven as a context manager is
the opposite case: there the block is meant for the code that runs while the body waits.
"""

import asyncio
import inspect
import logging
from threading import get_ident
from types import FrameType
from typing import Any

logger = logging.getLogger("clew")

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_AS_CONTEXT_MANAGERS = ("contextlib", "_pytest", "anyio", "fastapi", "starlette", "pytest_asyncio")
"""Whose generators are context managers: fixtures, dependencies, and contextlib's own."""

_warned: set[tuple[str, int]] = set()


class Body:
    """A generator's body, at the place where it entered a block."""

    __slots__ = ("_frame", "_line", "_task", "_thread")

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self._line = frame.f_lineno
        self._thread = get_ident()
        self._task = _current_task()

    def is_waiting(self) -> bool:
        """Whether the body waits at a ``yield`` while its consumer runs."""
        if self._frame.f_back is not None:
            return False
        if get_ident() == self._thread and _current_task() is self._task:
            return True
        # Another thread or task, of which nobody can say whether the body or the consumer began it.
        self.warn("something else runs while the generator waits")
        return False

    def warn(self, because: str) -> None:
        """Say once for each line that its block cannot be exact."""
        place = (self._frame.f_code.co_filename, self._line)
        if place not in _warned:
            _warned.add(place)
            logger.warning(
                "clew: the block at %s:%d is inside a generator, and %s; "
                "which spans belong to it cannot be known. Decorate the generator instead: "
                "@using_session(...)",
                *place,
                because,
            )


def body_of(frame: FrameType) -> Body | None:
    """Return the generator's body that *frame* is, if it is one that a consumer iterates."""
    if not frame.f_code.co_flags & _GENERATOR:
        return None
    driver = frame.f_back
    module = str(driver.f_globals.get("__name__", "")) if driver else ""
    return None if module.partition(".")[0] in _AS_CONTEXT_MANAGERS else Body(frame)


def _current_task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
