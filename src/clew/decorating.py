"""Turns a function into one that runs in another context, whatever kind of function it is.

The context is chosen when the function is called, not when the generator or coroutine that it
returns takes its first step: what is made inside a block belongs to that block.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import wrapt
from opentelemetry.context import Context, attach, detach

from clew.errors import IdentityTypeError
from clew.streams import awaited, stepped, stepped_async

F = TypeVar("F", bound=Callable[..., Any])
Inside = Callable[[tuple[Any, ...], Mapping[str, Any]], Context]


class _Decorated(wrapt.FunctionWrapper[..., Any]):
    """A function wrapper that keeps the function's signature and kind, and can be pickled.

    It is pickled as a function is: by its name. So a decorated function can go to a process pool.
    """

    def __reduce_ex__(self, protocol: object) -> str:
        return self.__wrapped__.__qualname__

    def __copy__(self) -> "_Decorated":
        return self

    def __deepcopy__(self, memo: object) -> "_Decorated":
        return self


def decorated(function: F, inside: Inside) -> F:
    """Return *function*, each call of which runs in the context that *inside* returns for it."""
    if inspect.isclass(function):
        message = (
            f"a class cannot be decorated ({function.__qualname__}); "
            "decorate the methods whose calls belong to the session"
        )
        raise IdentityTypeError(message)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if inspect.isasyncgenfunction(plain):
        run = _run_async_generator
    elif inspect.isgeneratorfunction(plain):
        run = _run_generator
    elif inspect.iscoroutinefunction(plain):
        run = _run_coroutine
    else:
        run = _run

    def wrapper(
        wrapped: Callable[..., Any],
        _instance: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        bound_to = getattr(wrapped, "__self__", None)
        all_arguments = arguments if bound_to is None else (bound_to, *arguments)
        return run(wrapped, arguments, named, inside(all_arguments, named))

    return cast("F", _Decorated(function, wrapper))


def _run(
    function: Callable[..., Any], arguments: Any, named: Mapping[str, Any], context: Context
) -> Any:
    token = attach(context)
    try:
        return function(*arguments, **named)
    finally:
        detach(token)


def _run_coroutine(
    function: Callable[..., Any], arguments: Any, named: Mapping[str, Any], context: Context
) -> Any:
    return awaited(function, arguments, named, context)


def _run_generator(
    function: Callable[..., Any], arguments: Any, named: Mapping[str, Any], context: Context
) -> Any:
    return stepped(function(*arguments, **named), context)


def _run_async_generator(
    function: Callable[..., Any], arguments: Any, named: Mapping[str, Any], context: Context
) -> Any:
    return stepped_async(function(*arguments, **named), context)


def computed_from(source: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what computes an id from a call of *function*.

    A *source* whose parameters are all named like parameters of *function* gets those; any other
    gets the call's arguments as they are.
    """
    if not callable(source):
        return lambda _arguments, _named: source
    signature = inspect.signature(getattr(function, "__func__", function))
    wanted = inspect.signature(source).parameters
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
