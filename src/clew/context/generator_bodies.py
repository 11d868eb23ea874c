"""Generators in whose body a block is open: which of them run here, now.

A generator runs in its consumer's context, so a ``with`` block in its body would give its session
to the consumer between two items. Its blocks therefore apply only while its frame is on the stack.
Nothing here outlives the generator: its frame is let go as soon as its last block is left.
"""

import inspect
import logging
import sys
import weakref
from collections.abc import Iterator, Mapping
from opcode import opmap
from threading import get_ident
from types import FrameType
from typing import Any, NamedTuple, Optional

logger = logging.getLogger("clew")

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_METHODS = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__"})
_FIXTURES = ("_pytest", "pytest_asyncio")
"""Packages that drive generators as context managers, for the tests that run in between."""

_ITERATING = frozenset(
    opmap[name] for name in ("FOR_ITER", "GET_ANEXT", "GET_YIELD_FROM_ITER") if name in opmap
)
"""The instructions of ``for``, ``async for`` and ``yield from``."""

_warned: set[tuple[str, int]] = set()


class Place(NamedTuple):
    """Where a block stays open: in the body of a generator that somebody drives."""

    frame: FrameType
    by_hand: bool
    """Whether a framework drives it by hand: as an iterator or a context manager, who knows."""

    @property
    def line(self) -> tuple[str, int]:
        """The file and the line where the body is now."""
        return self.frame.f_code.co_filename, self.frame.f_lineno


def place_of(frame: FrameType | None) -> Place | None:
    """Return the generator's body in which a block stays open that *frame* enters or leaves.

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
                # Decorated generators run in a context of their own: a block there is as any other.
                exact = module == "clew.context.stepping" or module.partition(".")[0] in _FIXTURES
                return None if exact else Place(frame, _by_hand(frame, driver, module))
        elif code.co_name not in _METHODS and frame.f_globals.get("__name__") != "contextlib":
            return None
        frame = frame.f_back
    return None


def _module(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def _by_hand(frame: FrameType, driver: FrameType | None, module: str) -> bool:
    """Whether *driver*, of another package, steps the generator without iterating over it.

    The standard library does that for the application: ``executor.submit(next, generator)``.
    """
    package = module.partition(".")[0]
    if driver is None or package == _module(frame).partition(".")[0]:
        return False
    if package in sys.stdlib_module_names or package in {"opentelemetry", "wrapt"}:
        return False
    recent = driver.f_code.co_code[max(0, driver.f_lasti - 6) : driver.f_lasti + 1 : 2]
    return _ITERATING.isdisjoint(recent)


class Body:
    """A generator's body, for as long as a block is open in it."""

    __slots__ = ("__weakref__", "frame", "home", "opened")

    def __init__(self, frame: FrameType, home: "Home") -> None:
        self.frame: FrameType | None = frame
        self.opened: list[Opened] = []
        self.home = home
        home.open[frame] = _known[id(frame)] = self

    def forget(self, opened: "Opened") -> None:
        """Let go what was open, and the frame with the last one."""
        self.opened.remove(opened)
        if not self.opened and self.frame is not None:
            self.home.open.pop(self.frame, None)
            _known.pop(id(self.frame), None)
            self.frame = None


_known: weakref.WeakValueDictionary[int, Body] = weakref.WeakValueDictionary()
"""By the id of their frame. Only the contexts in which their blocks were entered keep them alive,
so that nothing stays of a generator that is never closed."""


def known_body(place: Place) -> Body | None:
    """Return the body at *place*, where a block is open in it, in whichever context."""
    body = _known.get(id(place.frame))
    return body if body is not None and body.frame is place.frame else None


class Opened:
    """One entry into a block. All copies of the context share it."""

    __slots__ = ("_by_hand", "_task", "_thread", "block", "body", "changes", "left", "line")

    def __init__(self, block: object, changes: Mapping[str, object]) -> None:
        self.block = block
        self.changes = changes
        self.body: Body | None = None
        self.left = False
        """Whether it was left, in whichever copy of the context."""

    def belong_to(self, place: Place, home: Optional["Home"]) -> "Home":
        """Make it a block of the body at *place*; return what the context has to know then."""
        self._by_hand = place.by_hand
        self.line = place.line
        self._thread, self._task = _here()
        if home is None or (home.thread, home.task) != (self._thread, self._task):
            home = Home(self._thread, self._task, home)
        self.body = known_body(place) or Body(place.frame, home)
        self.body.opened.append(self)
        return home

    def leave(self) -> None:
        """Note that it is left, for all copies of the context."""
        self.left = True
        if self.body is not None:
            self.body.forget(self)

    def applies(self, running: list[Body]) -> bool:
        """Whether it applies where the bodies *running* are on the stack."""
        if self.body is None or self.body in running:
            return True
        if self.left:
            return False
        if self._by_hand:
            warn(self.line, "a framework drives it by hand")
            return True
        if (self._thread, self._task) == _here():
            return False
        # Nobody can say whether the body has begun this thread or task, or its consumer has.
        warn(self.line, "another thread or task goes on with a copy of its context")
        return True


class Home:
    """The generators whose blocks were entered in one thread or task, and are open."""

    __slots__ = ("open", "outer", "task", "thread")

    def __init__(self, thread: int, task: Any, outer: Optional["Home"]) -> None:
        self.thread, self.task = thread, task
        self.open: dict[FrameType, Body] = {}
        while outer is not None and not outer.open:
            outer = outer.outer
        self.outer: Home | None = outer
        """That of the thread or task from which the context was copied."""

    def __iter__(self) -> Iterator["Home"]:
        home: Home | None = self
        while home is not None:
            yield home
            home = home.outer

    def any_open(self) -> bool:
        """Whether any block of a generator is open."""
        return any(home.open for home in self)

    def knows(self, body: Body) -> bool:
        """Whether *body* was first seen here, or where the context comes from."""
        return any(home is body.home for home in self)

    def running(self) -> list[Body]:
        """Return the bodies that are on the stack, the outermost first."""
        bodies = self.open
        if self.outer is not None:
            bodies = {frame: body for home in self for frame, body in list(home.open.items())}
        found: list[Body] = []
        wanted = len(bodies)
        frame: FrameType | None = sys._getframe(1)
        while wanted and frame is not None:
            if frame in bodies and (body := bodies.get(frame)) is not None:
                found.insert(0, body)
                wanted -= 1
            frame = frame.f_back
        return found


def _here() -> tuple[int, Any]:
    return get_ident(), _current_task()


def _current_task() -> Any:
    """Return a weak reference to the current task. A program without asyncio need not load it."""
    asyncio: Any = sys.modules.get("asyncio")
    running_loop = getattr(asyncio, "_get_running_loop", None)  # Without an error where none is.
    if running_loop is None or (loop := running_loop()) is None:
        return None
    task = asyncio.current_task(loop)
    return task and weakref.ref(task)


def warn(line: tuple[str, int], because: str) -> None:
    """Say once for each line that its block cannot be exact."""
    if line not in _warned:
        _warned.add(line)
        logger.warning(
            "clew: the block at %s:%d is inside a generator, and %s; "
            "which spans belong to it cannot be known. Decorate the generator instead: "
            "@using_session(...)",
            *line,
            because,
        )
