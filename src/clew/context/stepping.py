"""Runs each step of a generator or coroutine in a context of its own, left between the steps.

Python runs the body of a generator in whatever context its consumer happens to have, step by step.
Here a driver runs each step of the body in the body's own context instead: what the body attaches
stays with the body, and the consumer sees none of it. Because each step leaves what it entered, the
next step can come from any thread or task.

The driver is created before the body. Where both end up in a cycle of garbage, the collector then
closes the driver first, which lets the body clean up inside its context.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol, TypeVar

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.generators import first_step_unknown_to_loop

Y = TypeVar("Y")
S = TypeVar("S")
R = TypeVar("R")


class _Steps(Protocol):
    """What a generator and the iterator behind an ``await`` have in common."""

    def send(self, value: Any, /) -> Any: ...
    def throw(self, error: BaseException, /) -> Any: ...
    def close(self) -> None: ...


class SteppedContext:
    """A context that is entered for one step at a time, and keeps what the step attached to it."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context

    def run(self, step: Callable[..., R], *args: Any) -> R:
        """Call *step* inside the context."""
        token = attach(self.context)
        try:
            return step(*args)
        finally:
            self.context = get_current()
            detach(token)


def generator_in_context(
    create: Callable[[], Generator[Y, S, R]], context: Context
) -> Generator[Y, S, R]:
    """Return a generator that runs each step of the one that *create* returns inside *context*."""
    stepped, bodies = SteppedContext(context), list[_Steps]()
    driver = _drive(bodies, stepped)
    bodies.append(stepped.run(create))
    return driver


def coroutine_in_context(
    create: Callable[[], Awaitable[R]], context: Context
) -> Coroutine[Any, Any, R]:
    """Return a coroutine that awaits what *create* returns, each of its steps inside *context*."""
    stepped, bodies = SteppedContext(context), list[Awaitable[R]]()
    driver = _drive_coroutine(bodies, stepped)
    try:
        bodies.append(stepped.run(create))
    except BaseException:
        driver.close()
        raise
    return driver


async def _drive_coroutine(bodies: list[Awaitable[R]], stepped: SteppedContext) -> R:
    (body,) = bodies
    result: R = result_in_context(await _AwaitInContext(body, stepped), stepped.context)
    return result


def result_in_context(result: Any, context: Context) -> Any:
    """Return *result*; if it is a generator or coroutine, as one that runs inside *context*.

    A function may return a generator that another one created, as the wrappers of other decorators
    do, and a coroutine may return an asynchronous generator.
    """
    if isinstance(result, GeneratorType):
        return generator_in_context(lambda: result, context)
    if isinstance(result, AsyncGeneratorType):
        return async_generator_in_context(lambda: result, context)
    if isinstance(result, CoroutineType):
        return coroutine_in_context(lambda: result, context)
    return result


def async_generator_in_context(
    create: Callable[[], AsyncGenerator[Y, S]], context: Context
) -> AsyncGenerator[Y, S]:
    """As `generator_in_context`, for an asynchronous generator."""
    stepped, bodies = SteppedContext(context), list[AsyncGenerator[Y, S]]()
    driver = _drive_async_generator(bodies, stepped)
    bodies.append(stepped.run(create))
    return driver


async def _drive_async_generator(
    bodies: list[AsyncGenerator[Y, S]], stepped: SteppedContext
) -> AsyncGenerator[Y, S]:
    (body,) = bodies
    step: Callable[[Any], Awaitable[Y]] = body.asend
    argument: Any = None
    first = first_step_unknown_to_loop(body)
    try:
        while True:
            try:
                item = await _AwaitInContext(first or step(argument), stepped)
            except StopAsyncIteration:
                return
            first = None
            try:
                argument = yield item
                step = body.asend
            except GeneratorExit:
                raise
            except BaseException as error:  # It is thrown into the body
                step, argument = body.athrow, error
    finally:
        await _AwaitInContext(body.aclose(), stepped)


class _AwaitInContext(Awaitable[R]):
    """Awaits *awaitable*, each step of it inside the context."""

    __slots__ = ("_awaitable", "_stepped")

    def __init__(self, awaitable: Awaitable[R], stepped: SteppedContext) -> None:
        self._awaitable = awaitable
        self._stepped = stepped

    def __await__(self) -> Generator[Any, Any, R]:
        steps: Any = self._awaitable.__await__()
        if not hasattr(steps, "throw"):  # a bare iterator, as an awaitable may return
            steps = _as_generator(steps)
        result: R = yield from _drive([steps], self._stepped)
        return result


def _as_generator(steps: Iterator[Any]) -> Generator[Any, Any, Any]:
    return (yield from steps)


def _drive(bodies: list[_Steps], stepped: SteppedContext) -> Generator[Any, Any, Any]:
    (body,) = bodies
    step: Callable[[Any], Any] = body.send
    argument: Any = None
    while True:
        try:
            item = stepped.run(step, argument)
        except StopIteration as stop:
            return stop.value
        try:
            argument = yield item
            step = body.send
        except GeneratorExit:
            stepped.run(body.close)
            raise
        except BaseException as error:  # It is thrown into the body
            step, argument = body.throw, error
