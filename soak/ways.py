"""The ways in which an action calls a framework: in threads and tasks, inside a block and outside.

Each function is given a `Doing`. What the provider does wrong is raised, and expected.
"""

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry import trace

from clew import current, using_session
from soak.calls import Provider
from soak.counts import Counts
from soak.plan import ANOTHER, INSIDE, OUTSIDE, Action
from tests.landing.ways import WAYS as ROUND_A_CALL

_tracer = trace.get_tracer("soak")


@dataclass
class Doing:
    """An action, and what it needs."""

    action: Action
    call: Callable[[Provider, str], Any]
    provider: Provider
    counts: Counts
    answers: bool = False
    """Whether the call has been answered."""

    def block(self, part: int = INSIDE) -> Any:
        session, user = self.action.key._replace(part=part).ids
        return using_session(session, user_id=user)

    def span(self, part: int = INSIDE) -> Any:
        """A span of the application's own; it says which question it belongs to."""
        attributes = {"asked": self.action.question(part)}
        return _tracer.start_as_current_span("step", attributes=attributes)

    def ask(self, part: int = INSIDE) -> Any:
        """Call the framework."""
        self.counts.add("calls")
        return self.call(self.provider, self.action.question(part))

    def said(self, answer: Any) -> None:
        """See that it is an answer to this question."""
        if str(self.action.key) not in str(answer):
            self.counts.add("failed", f"{self.action}: answered {answer!r}")
        self.answers = True

    def between(self, *_item: object) -> None:
        """Make a span outside of the block, while a stream that was made inside is read."""
        with self.span(OUTSIDE):
            pass

    def check_outside(self) -> None:
        """See that nothing of the block is left."""
        if found := current():
            self.counts.add("leaked", f"{self.action}: {found} is left after the block")
        self.between()


# --- calls ---


def _around(way: Any, doing: Doing) -> None:
    def call() -> None:
        with doing.span():
            doing.said(doing.ask())

    way(call, doing.block)


def nested(doing: Doing) -> None:
    """Inside the block of another session, which counts again afterwards."""
    with doing.block(ANOTHER), doing.span(ANOTHER):
        try:
            with doing.block(), doing.span():
                doing.said(doing.ask())
        finally:
            with doing.span(ANOTHER):
                pass


def outside(doing: Doing) -> None:
    with doing.span(OUTSIDE):
        doing.ask(OUTSIDE)


def in_a_generator(doing: Doing) -> None:
    """In the body of a generator, whose consumer is outside of the block, and may leave it."""

    def steps():
        with doing.block():
            yield 1
            with doing.span():
                doing.said(doing.ask())
            yield 2

    for step in steps():
        doing.between()
        if step == 2 or doing.action.after < 0.05:
            break


# --- streams ---


def _make(doing: Doing) -> Any:
    with doing.block(), doing.span():
        return doing.ask()


def read_inside(doing: Doing) -> None:
    with doing.block(), doing.span():
        for _ in doing.ask():
            with doing.span():
                pass


def read_outside(doing: Doing) -> None:
    for item in _make(doing):
        doing.between(item)


def read_in_another_session(doing: Doing) -> None:
    stream = _make(doing)
    with doing.block(ANOTHER):
        for _ in stream:
            with doing.span(ANOTHER):
                pass


def read_in_another_thread(doing: Doing) -> None:
    stream, raised = _make(doing), []

    def read() -> None:
        try:
            for item in stream:
                doing.between(item)
        except Exception as error:  # Raised again where the action is.
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def abandoned(doing: Doing) -> None:
    stream = iter(_make(doing))
    for _ in range(int(doing.action.after * 10)):
        if next(stream, None) is None:
            break
        doing.between()
    del stream
    if doing.action.key.number % 3 == 0:  # Else whenever Python collects it.
        gc.collect()
    doing.between()


def closed(doing: Doing) -> None:
    stream = _make(doing)
    steps = iter(stream)
    for _ in range(int(doing.action.after * 10)):
        next(steps, None)
        doing.between()
    getattr(steps, "close", getattr(stream, "close", lambda: None))()
    doing.between()


# --- in tasks ---


async def awaited_inside(doing: Doing) -> None:
    async with doing.block():
        with doing.span():
            doing.said(await doing.ask())


async def awaited_outside(doing: Doing) -> None:
    coroutine = _make(doing)
    doing.between()
    await coroutine


async def in_a_task(doing: Doing) -> None:
    with doing.block():
        task = asyncio.create_task(_with_a_span(doing))
    doing.between()
    doing.said(await task)


async def gathered(doing: Doing) -> None:
    with doing.block(), doing.span():
        await asyncio.gather(*(doing.ask() for _ in range(3)), return_exceptions=True)


async def cancelled(doing: Doing) -> None:
    with doing.block():
        task = asyncio.create_task(_with_a_span(doing))
    asyncio.get_running_loop().call_later(doing.action.after, task.cancel)
    try:
        await task
    finally:
        doing.between()


async def timed_out(doing: Doing) -> None:
    with doing.block(), doing.span():
        async with asyncio.timeout(doing.action.after):
            await doing.ask()


async def in_to_thread(doing: Doing) -> None:
    async with doing.block():
        with doing.span():
            doing.said(await asyncio.to_thread(doing.ask))


async def _with_a_span(doing: Doing) -> Any:
    with doing.span():
        return await _result(doing.ask())


async def _result(made: Any) -> Any:
    """Await a coroutine, or read a stream to its end."""
    if inspect.isawaitable(made):
        made = await made
    if hasattr(made, "__aiter__"):
        return [item async for item in made]
    return made


async def aread_inside(doing: Doing) -> None:
    with doing.block(), doing.span():
        await _result(doing.ask())


async def aread_outside(doing: Doing) -> None:
    made = _make(doing)
    async for item in await made if inspect.isawaitable(made) else made:
        doing.between(item)


async def aabandoned(doing: Doing) -> None:
    made = _make(doing)
    left = int(doing.action.after * 10)
    async for item in await made if inspect.isawaitable(made) else made:
        doing.between(item)
        if (left := left - 1) < 0:
            break
    del made
    doing.between()


CALL_WAYS: dict[str, Any] = {
    **{way.__name__: partial(_around, way) for way in ROUND_A_CALL},
    **{way.__name__: way for way in (nested, outside, in_a_generator)},
}
STREAM_WAYS = {
    way.__name__: way
    for way in (
        read_inside,
        read_outside,
        read_in_another_session,
        read_in_another_thread,
        abandoned,
        closed,
    )
}
ACALL_WAYS = {
    way.__name__: way
    for way in (awaited_inside, awaited_outside, in_a_task, gathered, cancelled, timed_out)
}
ASTREAM_WAYS = {way.__name__: way for way in (aread_inside, aread_outside, aabandoned, cancelled)}
IN_THREADS = {"call": CALL_WAYS, "stream": STREAM_WAYS}
IN_TASKS = {
    "call": {"in_to_thread": in_to_thread},
    "acall": ACALL_WAYS,
    "own": {name: way for name, way in ACALL_WAYS.items() if way is not awaited_outside},
    "astream": ASTREAM_WAYS,
}
