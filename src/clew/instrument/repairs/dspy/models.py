"""DSPy: a model that the application defines, ``class Mine(dspy.BaseLM)``, has no span.

Upstream wraps only ``dspy.LM``. The repair puts upstream's own wrappers around the base class and
around each subclass that overrides ``__call__`` or ``acall``, also those defined later. `tokens`
makes sure that a call which passes through several of them has one span; it also reads the usage
of the response, and sets on the span what the innermost method was called with.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.patching.undo import UndoStack
from clew.patching.wrap import wrap_functions, wrap_with_subclasses

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_WRAPPERS = {"__call__": "_LMCallWrapper", "acall": "_LMAcallWrapper"}
_INPUTS = ("prompt", "messages")


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the methods of every model that upstream has not wrapped."""
    from dspy import BaseLM
    from openinference.instrumentation import dspy as upstream

    tracer = instrumentor._tracer  # The tracer it was activated with
    wrappers = {name: getattr(upstream, cls)(tracer) for name, cls in _WRAPPERS.items()}
    unwrap_models = wrap_with_subclasses(BaseLM, wrappers)
    unwrap_readers = wrap_functions(
        "openinference.instrumentation.dspy",
        {"_llm_input_messages": _input_messages, "_llm_output_messages": _output_messages},
    )
    return UndoStack("unwrapping DSPy's classes", unwrap_models, unwrap_readers).undo


def input_attributes(
    model: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return upstream's attributes for the input of one call of *model*."""
    from openinference.instrumentation import dspy as upstream

    bound = upstream._bind_arguments(method, *args, **kwargs)
    arguments = upstream._normalize_lm_arguments(bound)
    return {
        **dict(upstream._llm_input_messages(arguments)),
        **dict(upstream._llm_invocation_parameters(model, arguments)),
    }


def output_attributes(response: Any) -> dict[str, Any]:
    """Return upstream's attributes for the response of a model."""
    from openinference.instrumentation import dspy as upstream

    return dict(upstream._llm_output_messages(response))


def _input_messages(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Find the prompt or the messages, whatever the parameters of a ``__call__`` are named."""
    try:
        bound = args[0] if args else kwargs["arguments"]
        return iter([*wrapped(_with_known_names(bound))])
    except Exception:
        contain("reading the input of a DSPy model")
        return iter(())


def _with_known_names(arguments: Any) -> Any:
    """Return *arguments* with a prompt or messages: the first argument, if neither is named."""
    if any(arguments.get(name) is not None for name in _INPUTS):
        return arguments
    for value in arguments.values():
        first = value[0] if isinstance(value, tuple) and value else value
        if isinstance(first, str):
            return {"prompt": first}
        if isinstance(first, list):
            return {"messages": first}
        if isinstance(first, dict) and first.keys() & set(_INPUTS):
            return first
        if first:  # An object of the application's own; the rest are options.
            break
    return arguments


def _output_messages(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Read whatever a ``__call__`` returns; upstream treats everything as a list.

    It would split a string into characters, and consume a stream before the application does.
    """
    try:
        response = args[0] if args else kwargs.get("response")
        outputs = [response] if isinstance(response, str) else response
        if not isinstance(outputs, list | tuple):
            return iter(())
        texts = [it.get("text") if isinstance(it, dict) else it for it in outputs]
        return iter([*wrapped(texts)])
    except Exception:
        contain("reading the response of a DSPy model")
        return iter(())
