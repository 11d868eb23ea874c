"""DSPy: a call whose arguments upstream cannot read crashes, though DSPy takes it.

Upstream binds the arguments to the signature of the class's ``forward``, and takes off its first
parameter only where that is named ``self``. So it crashes where it has another name, where it is
static or partial, and where the module has a ``forward`` of its own; and where a decorator passes
on other arguments than it says, or a ``Predict`` returns anything but a prediction. The repair
binds to what is really called, and where upstream still cannot read it, shows it as it is.
"""

from collections.abc import Callable
from typing import Any

from wrapt import ObjectProxy

from clew.core.containment import contain
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Guard what upstream reads."""
    return wrap_functions(
        "openinference.instrumentation.dspy",
        {
            "_ModuleForwardWrapper.__call__": _bound_to("forward"),
            "_ModuleAforwardWrapper.__call__": _bound_to("aforward"),
            "_PredictForwardWrapper._prediction_to_output_dict": _outputs,
            "_PredictAforwardWrapper._prediction_to_output_dict": _outputs,
            "_get_input_value": _input_value,
            "_bind_arguments": _bound_arguments,
        },
    )


class _Class:
    """Stands in for the class of a module; its ``forward`` is the one that will be called."""

    def __init__(self, name: str, **method: Any) -> None:
        self.__name__ = name
        vars(self).update(method)


class _Module(ObjectProxy):  # type: ignore[type-arg]  # wrapt 1 has no arguments
    """A module whose class, when asked for, has the ``forward`` that will be called."""

    def __init__(self, module: Any, method: str) -> None:
        super().__init__(module)
        self._self_method = method

    @property  # type: ignore[misc]  # a stand-in, which is only read
    def __class__(self) -> Any:
        module, name = self.__wrapped__, self._self_method
        try:
            # Without dspy's own __getattribute__, which warns of whoever asks for a ``forward``.
            method = object.__getattribute__(module, name) if hasattr(type(module), name) else None
            own = vars(module).get(name)
            return _Class(type(module).__name__, **{name: own or method})
        except Exception:
            contain("finding what a module of DSPy's will call")
            return type(module)


def _bound_to(name: str) -> Callable[..., Any]:
    def call(upstream: Any, _instance: Any, arguments: Any, _named: Any) -> Any:
        method, module, given, named = arguments
        try:
            module = _Module(module, name)
        except Exception:
            contain("finding what a module of DSPy's will call")
        return upstream(method, module, given, named)

    return call


def _outputs(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    try:
        return upstream(*arguments, **named)
    except Exception:  # Not a prediction, as the application may have it
        return {}


def _input_value(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    try:
        return upstream(*arguments, **named)
    except Exception:  # The call itself will tell whether it can be made
        return _shown(_as_they_are(arguments[1:], named))


def _bound_arguments(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    try:
        return upstream(*arguments, **named)
    except Exception:
        return _as_they_are(arguments[1:], named)


def _shown(arguments: dict[str, Any]) -> str:
    from openinference.instrumentation import safe_json_dumps

    try:
        return safe_json_dumps(arguments)
    except Exception:
        contain("showing the arguments of a call")
        return ""


def _as_they_are(given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    return {**({"args": list(given)} if given else {}), **named}
