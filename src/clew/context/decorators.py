"""Turns a function into one that runs in another context, whatever kind of function it is.

The context is chosen when the function is called, not when the generator or coroutine that it
returns takes its first step: what is made inside a block belongs to that block.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.stepping import awaited, handed_on, stepped, stepped_async
from clew.core.containment import contain
from clew.core.errors import IdentityTypeError
from clew.patching.wrap import PicklableWrapper

F = TypeVar("F", bound=Callable[..., Any])
Inside = Callable[[tuple[Any, ...], Mapping[str, Any]], Context]
Runner = Callable[[Callable[[], Any], Context], Any]


def decorated(function: F, inside: Inside) -> F:
    """Return *function*, each call of which runs in the context that *inside* returns for it."""
    if inspect.isclass(function):
        message = (
            f"a class cannot be decorated ({function.__qualname__}); "
            "decorate the methods whose calls belong to the session"
        )
        raise IdentityTypeError(message)
    run = _runner(function)

    def wrapper(
        wrapped: Callable[..., Any],
        instance: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        passed = arguments if instance is None else (instance, *arguments)
        return run(partial(wrapped, *arguments, **named), inside(passed, named))

    return cast("F", PicklableWrapper(function, wrapper))


def _runner(function: Callable[..., Any]) -> Runner:
    plain = getattr(function, "__func__", function)
    if not inspect.isroutine(plain) and not isinstance(plain, partial):
        plain = type(plain).__call__  # An object that can be called.
    if inspect.isgeneratorfunction(plain):
        return stepped
    if inspect.isasyncgenfunction(plain):
        return stepped_async
    if inspect.iscoroutinefunction(plain):
        return awaited
    return _run


def _run(call: Callable[[], Any], context: Context) -> Any:
    token = attach(context)
    try:
        result = call()
    finally:
        context = get_current()  # With what the call has put there.
        detach(token)
    return handed_on(result, context)


def runner_of(function: Callable[..., Any]) -> Runner:
    """Return what runs a call of *function*, of whatever kind, in a context, to its very end.

    To find out the kind takes longer than a call: ask once for each function.
    """
    try:
        return _runner(function)
    except Exception:
        contain("telling what kind of function is called")
        return _run


def computed_from(source: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what computes an id from a call of *function*.

    A *source* whose parameters are all named like parameters of *function* gets those; any other
    gets the call's arguments as they are.
    """
    if not callable(source):
        return lambda _arguments, _named: source
    try:
        signature = inspect.signature(getattr(function, "__func__", function))
        wanted = inspect.signature(source).parameters
    except ValueError:  # Some of what is built in does not say.
        return lambda arguments, named: source(*arguments, **named)
    nameable = {
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    }
    by_name = all(
        name in signature.parameters and parameter.kind in nameable
        for name, parameter in wanted.items()
    )

    def compute(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        if not by_name:
            return source(*arguments, **named)
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        values = {name: bound.arguments[name] for name in wanted}
        positional = [
            values.pop(name)
            for name, parameter in wanted.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        return source(*positional, **values)

    return compute
