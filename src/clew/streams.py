"""Re-enters a context on every step of a generator or coroutine, and leaves it between the steps.

Python runs the body of a generator in whatever context its consumer happens to have, step by step.
What is wrapped here runs each step in a context of its own instead: what the body attaches stays
with the body, the consumer sees none of it, and because each step leaves what it entered, it makes
no difference from which thread or task the next step comes.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
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


def stepped(body: Generator[Y, S, R], context: Context) -> Generator[Y, S, R]:
    """Drive *body*, each of its steps inside *context*."""
    return _driven(body, Held(context))


async def awaited(
    function: Callable[..., Awaitable[R]],
    arguments: tuple[Any, ...],
    named: Mapping[str, Any],
    context: Context,
) -> R:
    """Call *function* and await its result, each step of both inside *context*."""
    held = Held(context)
    return await _InSteps(held.run(lambda: function(*arguments, **named)), held)


async def stepped_async(body: AsyncGenerator[Y, S], context: Context) -> AsyncGenerator[Y, S]:
    """Drive the asynchronous generator *body*, each of its steps inside *context*."""
    held = Held(context)
    step: Callable[[Any], Awaitable[Y]] = body.asend
    argument: Any = None
    try:
        while True:
            try:
                item = await _InSteps(step(argument), held)
            except StopAsyncIteration:
                return
            try:
                argument = yield item
                step = body.asend
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - it is thrown on into the body
                step, argument = body.athrow, error
    finally:
        await _InSteps(body.aclose(), held)


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
        result: R = yield from _driven(steps, self._held)
        return result


def _driven(body: _Steps, held: Held) -> Generator[Any, Any, Any]:
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
        except BaseException as error:  # noqa: BLE001 - it is thrown on into the body
            step, argument = body.throw, error
