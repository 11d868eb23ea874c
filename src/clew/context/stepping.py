"""Re-enters a context on every step of a generator or coroutine, and leaves it between the steps.

Python runs the body of a generator in whatever context its consumer happens to have, step by step.
What is wrapped here runs each step in a context of its own instead: what the body attaches stays
with the body, the consumer sees none of it, and because each step leaves what it entered, it makes
no difference from which thread or task the next step comes.

A body is made after what drives it. Where both end up in a cycle of garbage, the collector then
closes the driver first, which lets the body clean up inside its context.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol, TypeVar

from opentelemetry.context import Context, attach, detach, get_current

Y = TypeVar("Y")
S = TypeVar("S")
R = TypeVar("R")


class _Steps(Protocol):
    """What a generator and the iterator behind an ``await`` have in common."""

    def send(self, value: Any, /) -> Any: ...
    def throw(self, error: BaseException, /) -> Any: ...
    def close(self) -> None: ...


class Held:
    """A context that is entered for one step at a time, and keeps what the step attached to it."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context

    def run(self, step: Callable[..., R], *arguments: Any) -> R:
        """Call *step* inside the context."""
        token = attach(self.context)
        try:
            return step(*arguments)
        finally:
            self.context = get_current()
            detach(token)


def stepped(make: Callable[[], Generator[Y, S, R]], context: Context) -> Generator[Y, S, R]:
    """Drive the generator that *make* returns, each of its steps inside *context*."""
    held, body = Held(context), list[_Steps]()
    driver = _driven(body, held)
    body.append(held.run(make))
    return driver


def awaited(make: Callable[[], Awaitable[R]], context: Context) -> Coroutine[Any, Any, R]:
    """Await what *make* returns, each of its steps inside *context*."""
    held, body = Held(context), list[Awaitable[R]]()
    driver = _driven_await(body, held)
    try:
        body.append(held.run(make))
    except BaseException:
        driver.close()
        raise
    return driver


async def _driven_await(bodies: list[Awaitable[R]], held: Held) -> R:
    (body,) = bodies
    result: R = handed_on(await _InSteps(body, held), held.context)
    return result


def handed_on(result: Any, context: Context) -> Any:
    """Let *result*, where it works step by step, do so inside *context*.

    A function may hand on what another has made, as the wrappers of other decorators do; and a
    coroutine may come to an asynchronous generator.
    """
    if isinstance(result, GeneratorType):
        return stepped(lambda: result, context)
    if isinstance(result, AsyncGeneratorType):
        return stepped_async(lambda: result, context)
    if isinstance(result, CoroutineType):
        return awaited(lambda: result, context)
    return result


def stepped_async(
    make: Callable[[], AsyncGenerator[Y, S]], context: Context
) -> AsyncGenerator[Y, S]:
    """Drive the asynchronous generator that *make* returns, each of its steps inside *context*."""
    held, body = Held(context), list[AsyncGenerator[Y, S]]()
    driver = _driven_async(body, held)
    body.append(held.run(make))
    return driver


async def _driven_async(bodies: list[AsyncGenerator[Y, S]], held: Held) -> AsyncGenerator[Y, S]:
    (body,) = bodies
    step: Callable[[Any], Awaitable[Y]] = body.asend
    argument: Any = None
    first = _unknown_to_the_loop(body)
    try:
        while True:
            try:
                item = await _InSteps(first or step(argument), held)
            except StopAsyncIteration:
                return
            first = None
            try:
                argument = yield item
                step = body.asend
            except GeneratorExit:
                raise
            except BaseException as error:  # It is thrown on into the body
                step, argument = body.athrow, error
    finally:
        await _InSteps(body.aclose(), held)


def _unknown_to_the_loop(body: AsyncGenerator[Y, S]) -> Awaitable[Y] | None:
    """Take the first step of *body* without telling the event loop that it exists.

    A loop closes the asynchronous generators that it knows when they are forgotten, or when it
    ends. It knows the driver, which closes the body in its turn, inside its context. Without any
    finalizer, the collector would close the body itself.
    """
    firstiter, finalizer = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, _leave_it_to_the_driver)
    try:
        return body.asend(None)  # type: ignore[arg-type]  # the first value sent is always None
    finally:
        sys.set_asyncgen_hooks(firstiter, finalizer)


def _leave_it_to_the_driver(_body: AsyncGenerator[Any, Any]) -> None:
    """Do nothing when a body is collected."""


class _InSteps(Awaitable[R]):
    """Awaits *awaitable*, each step of it inside the held context."""

    __slots__ = ("_awaitable", "_held")

    def __init__(self, awaitable: Awaitable[R], held: Held) -> None:
        self._awaitable = awaitable
        self._held = held

    def __await__(self) -> Generator[Any, Any, R]:
        steps = self._awaitable.__await__()
        if not hasattr(steps, "throw"):  # a bare iterator, as an awaitable may return
            return (yield from steps)
        result: R = yield from _driven([steps], self._held)
        return result


def _driven(bodies: list[_Steps], held: Held) -> Generator[Any, Any, Any]:
    (body,) = bodies
    step: Callable[[Any], Any] = body.send
    argument: Any = None
    while True:
        try:
            item = held.run(step, argument)
        except StopIteration as stop:
            return stop.value
        try:
            argument = yield item
            step = body.send
        except GeneratorExit:
            held.run(body.close)
            raise
        except BaseException as error:  # It is thrown on into the body
            step, argument = body.throw, error
