"""DSPy: a call crashes if upstream cannot read its arguments, though DSPy accepts them.

Upstream binds the arguments to the signature of the class's ``forward``, and drops the first
parameter only if it is named ``self``. So it crashes where that has another name, where ``forward``
is static or partial, and where the module instance has a ``forward`` of its own; and where a
decorator passes on other arguments than its signature says, or a ``Predict`` returns something
other than a prediction. The repair binds to the method that is really called. Where upstream still
cannot read the arguments, it shows them unbound.
"""

from collections.abc import Callable
from typing import Any

from wrapt import ObjectProxy

from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Wrap the functions of upstream that read arguments and outputs."""
    return wrap_functions(
        "openinference.instrumentation.dspy",
        {
            "_ModuleForwardWrapper.__call__": _bind_to_actual("forward"),
            "_ModuleAforwardWrapper.__call__": _bind_to_actual("aforward"),
            "_PredictForwardWrapper._prediction_to_output_dict": _output_dict,
            "_PredictAforwardWrapper._prediction_to_output_dict": _output_dict,
            "_get_input_value": _input_value,
            "_bind_arguments": _bind_arguments,
        },
    )


class _ClassStandIn:
    """Stand-in for the class of a module, with the ``forward`` that will be called."""

    def __init__(self, name: str, **method: Any) -> None:
        self.__name__ = name
        vars(self).update(method)


class _ModuleProxy(ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """Proxy for a module whose ``__class__`` has the ``forward`` that will be called."""

    def __init__(self, module: Any, method: str) -> None:
        super().__init__(module)
        self._self_method = method

    @property  # type: ignore[misc]  # it is only read
    def __class__(self) -> Any:
        module, name = self.__wrapped__, self._self_method
        try:
            # Not through dspy's own __getattribute__, which warns when ``forward`` is read.
            method = object.__getattribute__(module, name) if hasattr(type(module), name) else None
            own = vars(module).get(name)
            return _ClassStandIn(type(module).__name__, **{name: own or method})
        except Exception:
            contain("finding the method that a DSPy module will call")
            return type(module)


def _bind_to_actual(name: str) -> Callable[..., Any]:
    def wrapper(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
        method, module, method_args, method_kwargs = args
        try:
            module = _ModuleProxy(module, name)
        except Exception:
            contain("finding the method that a DSPy module will call")
        return wrapped(method, module, method_args, method_kwargs)

    return wrapper


def _output_dict(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except Exception:  # The application may return something other than a prediction
        return {}


def _input_value(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except Exception:  # If the arguments are wrong, the call itself will raise
        return _as_json(_unbound(args[1:], kwargs))


def _bind_arguments(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except Exception:
        return _unbound(args[1:], kwargs)


def _as_json(arguments: dict[str, Any]) -> str:
    from openinference.instrumentation import safe_json_dumps

    try:
        return safe_json_dumps(arguments)
    except Exception:
        contain("serializing the arguments of a call")
        return ""


def _unbound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**({"args": list(args)} if args else {}), **kwargs}
