"""Turns a function of any kind into one that runs in another context.

The context is chosen when the function is called, not when the generator or coroutine that it
returns takes its first step: a generator that is created inside a block belongs to that block.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from opentelemetry.context import Context, attach, detach, get_current

from clew.context.stepping import (
    async_generator_in_context,
    coroutine_in_context,
    generator_in_context,
    result_in_context,
)
from clew.core.containment import contain
from clew.core.errors import IdentityTypeError
from clew.patching.wrap import PicklableWrapper

F = TypeVar("F", bound=Callable[..., Any])
ContextOfCall = Callable[[tuple[Any, ...], Mapping[str, Any]], Context]
Runner = Callable[[Callable[[], Any], Context], Any]


def decorate(function: F, context_of_call: ContextOfCall) -> F:
    """Return *function* so that each call runs in the context that *context_of_call* returns."""
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
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        passed = args if instance is None else (instance, *args)
        return run(partial(wrapped, *args, **kwargs), context_of_call(passed, kwargs))

    return cast("F", PicklableWrapper(function, wrapper))


def _runner(function: Callable[..., Any]) -> Runner:
    plain = getattr(function, "__func__", function)
    if not inspect.isroutine(plain) and not isinstance(plain, partial):
        plain = type(plain).__call__  # A callable object.
    if inspect.isgeneratorfunction(plain):
        return generator_in_context
    if inspect.isasyncgenfunction(plain):
        return async_generator_in_context
    if inspect.iscoroutinefunction(plain):
        return coroutine_in_context
    return _run


def _run(call: Callable[[], Any], context: Context) -> Any:
    token = attach(context)
    try:
        result = call()
    finally:
        context = get_current()  # With what the call has attached.
        detach(token)
    return result_in_context(result, context)


def runner_for(function: Callable[..., Any]) -> Runner:
    """Return a `Runner` for *function*: it runs a call in a context until all its work is done.

    Finding out the kind of a function takes longer than a call, so ask once for each function.
    """
    try:
        return _runner(function)
    except Exception:
        contain("determining the kind of a decorated function")
        return _run


def id_computer(source: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes an id from the ``args`` and ``kwargs`` of a call.

    A *source* whose parameters are all named like parameters of *function* gets those; any other
    gets the call's arguments as they are.
    """
    if not callable(source):
        return lambda _args, _kwargs: source
    try:
        signature = inspect.signature(getattr(function, "__func__", function))
        wanted = inspect.signature(source).parameters
    except ValueError:  # Some built-in functions have no signature.
        return lambda args, kwargs: source(*args, **kwargs)
    nameable = {
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    }
    by_name = all(
        name in signature.parameters and parameter.kind in nameable
        for name, parameter in wanted.items()
    )

    def compute(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not by_name:
            return source(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = {name: bound.arguments[name] for name in wanted}
        positional = [
            values.pop(name)
            for name, parameter in wanted.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        return source(*positional, **values)

    return compute
