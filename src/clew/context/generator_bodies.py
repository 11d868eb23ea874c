"""Generators in whose body a block is open, and which of them run now.

A generator runs in its consumer's context, so a ``with`` block in its body would give its session
to the consumer between two items. Its blocks therefore apply only while its frame is on the stack.
Nothing here outlives the generator: its frame is released as soon as its last block is left.

From top to bottom: a `Body` holds the blocks that are open in one body; a `BlockEntry` decides
whether its block applies; `OpenBodies`, which is kept in the context, finds the bodies that are on
the stack.
"""

import logging
import sys
import weakref
from collections.abc import Iterator, Mapping
from threading import get_ident
from types import FrameType
from typing import Any, Optional

from clew.context.generators import GeneratorFrame

logger = logging.getLogger("clew")

_warned: set[tuple[str, int]] = set()


class Body:
    """A generator's body, for as long as a block is open in it."""

    __slots__ = ("__weakref__", "entries", "frame", "open_bodies")

    def __init__(self, frame: FrameType, open_bodies: "OpenBodies") -> None:
        self.frame: FrameType | None = frame
        self.entries: list[BlockEntry] = []
        self.open_bodies = open_bodies
        open_bodies.by_frame[frame] = _bodies[id(frame)] = self

    def remove(self, entry: "BlockEntry") -> None:
        """Remove *entry*, whose block was left; with the last one, release the frame."""
        self.entries.remove(entry)
        if not self.entries and self.frame is not None:
            self.open_bodies.by_frame.pop(self.frame, None)
            _bodies.pop(id(self.frame), None)
            self.frame = None


_bodies: weakref.WeakValueDictionary[int, Body] = weakref.WeakValueDictionary()
"""All bodies, by the id of their frame. Only the contexts in which their blocks were entered keep
them alive, so that nothing stays of a generator that is never closed."""


def find_body(generator: GeneratorFrame) -> Body | None:
    """Return the body of *generator*, if a block is open in it, in whichever context."""
    body = _bodies.get(id(generator.frame))
    return body if body is not None and body.frame is generator.frame else None


class BlockEntry:
    """One entry into a block. All copies of the context share it."""

    __slots__ = ("_driven_by_hand", "_task", "_thread", "block", "body", "changes", "left", "line")

    def __init__(self, block: object, changes: Mapping[str, object]) -> None:
        self.block = block
        self.changes = changes
        self.body: Body | None = None
        self.left = False
        """Whether it was left, in whichever copy of the context."""

    def add_to_body(
        self, generator: GeneratorFrame, open_bodies: Optional["OpenBodies"]
    ) -> "OpenBodies":
        """Add it to the body of *generator*; return the open bodies to keep in the context."""
        self._driven_by_hand = generator.driven_by_hand
        self.line = generator.line
        self._thread, self._task = _current_thread_and_task()
        here = (self._thread, self._task)
        if open_bodies is None or (open_bodies.thread, open_bodies.task) != here:
            open_bodies = OpenBodies(self._thread, self._task, open_bodies)
        self.body = find_body(generator) or Body(generator.frame, open_bodies)
        self.body.entries.append(self)
        return open_bodies

    def leave(self) -> None:
        """Note that the block was left, for all copies of the context."""
        self.left = True
        if self.body is not None:
            self.body.remove(self)

    def applies(self, running: list[Body]) -> bool:
        """Whether the block applies where the bodies *running* are on the stack."""
        if self.body is None or self.body in running:
            return True
        if self.left:
            return False
        if self._driven_by_hand:
            warn_inexact(self.line, "a framework drives it by hand")
            return True
        if (self._thread, self._task) == _current_thread_and_task():
            return False
        # It cannot be known whether this thread or task was started by the body or its consumer.
        warn_inexact(self.line, "another thread or task goes on with a copy of its context")
        return True


class OpenBodies:
    """The generators' bodies in which blocks are open, of those entered in one thread or task."""

    __slots__ = ("by_frame", "outer", "task", "thread")

    def __init__(self, thread: int, task: Any, outer: Optional["OpenBodies"]) -> None:
        self.thread, self.task = thread, task
        self.by_frame: dict[FrameType, Body] = {}
        while outer is not None and not outer.by_frame:
            outer = outer.outer
        self.outer: OpenBodies | None = outer
        """Those of the thread or task from which the context was copied."""

    def __iter__(self) -> Iterator["OpenBodies"]:
        level: OpenBodies | None = self
        while level is not None:
            yield level
            level = level.outer

    def any_open(self) -> bool:
        """Whether a block is open in any generator's body."""
        return any(level.by_frame for level in self)

    def includes(self, body: Body) -> bool:
        """Whether *body* was first seen here, or where the context comes from."""
        return any(level is body.open_bodies for level in self)

    def running(self) -> list[Body]:
        """Return the bodies that are on the stack, the outermost first."""
        bodies = self.by_frame
        if self.outer is not None:
            bodies = {frame: body for level in self for frame, body in list(level.by_frame.items())}
        found: list[Body] = []
        wanted = len(bodies)
        frame: FrameType | None = sys._getframe(1)
        while wanted and frame is not None:
            if frame in bodies and (body := bodies.get(frame)) is not None:
                found.insert(0, body)
                wanted -= 1
            frame = frame.f_back
        return found


def _current_thread_and_task() -> tuple[int, Any]:
    return get_ident(), _current_task()


def _current_task() -> Any:
    """Return a weak reference to the current task. A program without asyncio need not load it."""
    asyncio: Any = sys.modules.get("asyncio")
    running_loop = getattr(asyncio, "_get_running_loop", None)  # Without an error where none is.
    if running_loop is None or (loop := running_loop()) is None:
        return None
    task = asyncio.current_task(loop)
    return task and weakref.ref(task)


def warn_inexact(line: tuple[str, int], reason: str) -> None:
    """Warn, once for each line, that its block cannot be exact."""
    if line not in _warned:
        _warned.add(line)
        logger.warning(
            "clew: the block at %s:%d is inside a generator, and %s; "
            "which spans belong to it cannot be known. Decorate the generator instead: "
            "@using_session(...)",
            *line,
            reason,
        )
