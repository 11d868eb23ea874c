"""DSPy: a model of the application's own, a ``class Mine(dspy.BaseLM)``, has no span.

Upstream wraps ``dspy.LM`` alone. The repair has upstream's own wrappers put around the base class
and around each subclass that overrides ``__call__`` or ``acall``, also those yet to be defined.
That a call which comes through several of them has one span is seen to in `dspy_tokens`, which
also reads the response's usage, and there the span is told what the innermost method was asked.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.core.containment import contain
from clew.patching.import_hooks import undo_all
from clew.patching.wrap import wrap_functions, wrap_with_subclasses

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_WRAPPERS = {"__call__": "_LMCallWrapper", "acall": "_LMAcallWrapper"}
_QUESTIONS = ("prompt", "messages")


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the methods of every model that upstream has not wrapped."""
    from dspy import BaseLM
    from openinference.instrumentation import dspy as upstream

    tracer = instrumentor._tracer  # The tracer it was switched on with
    wrappers = {name: getattr(upstream, kind)(tracer) for name, kind in _WRAPPERS.items()}
    forget = wrap_with_subclasses(BaseLM, wrappers)
    undo = wrap_functions(
        "openinference.instrumentation.dspy",
        {"_llm_input_messages": _input_messages, "_llm_output_messages": _messages},
    )
    return partial(undo_all, [forget, undo], "unwrapping DSPy's classes")


def said_when_asked(
    model: Any, method: Any, given: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """Return the attributes by which upstream says what *model* is asked in one call."""
    from openinference.instrumentation import dspy as upstream

    bound = upstream._bind_arguments(method, *given, **named)
    arguments = upstream._normalize_lm_arguments(bound)
    return {
        **dict(upstream._llm_input_messages(arguments)),
        **dict(upstream._llm_invocation_parameters(model, arguments)),
    }


def said_when_answered(response: Any) -> dict[str, Any]:
    """Return the attributes by which upstream says what a model has answered."""
    from openinference.instrumentation import dspy as upstream

    return dict(upstream._llm_output_messages(response))


def _input_messages(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    """Find the prompt or the messages, whatever the parameters of a ``__call__`` are named."""
    try:
        bound = arguments[0] if arguments else named["arguments"]
        return iter([*upstream(_with_question(bound))])
    except Exception:
        contain("reading what a model of DSPy's is asked")
        return iter(())


def _with_question(arguments: Any) -> Any:
    """Return *arguments* with a prompt or messages: without either, the first one given is it."""
    if any(arguments.get(name) is not None for name in _QUESTIONS):
        return arguments
    for value in arguments.values():
        first = value[0] if isinstance(value, tuple) and value else value
        if isinstance(first, str):
            return {"prompt": first}
        if isinstance(first, list):
            return {"messages": first}
        if isinstance(first, dict) and first.keys() & set(_QUESTIONS):
            return first
        if first:  # An object of the application's own; what follows it are options.
            break
    return arguments


def _messages(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    """Show what a ``__call__`` of any make returns; upstream takes everything for a list.

    It would take a string to pieces, and read a stream to its end before its reader does.
    """
    try:
        response = arguments[0] if arguments else named.get("response")
        outputs = [response] if isinstance(response, str) else response
        if not isinstance(outputs, list | tuple):
            return iter(())
        texts = [it.get("text") if isinstance(it, dict) else it for it in outputs]
        return iter([*upstream(texts)])
    except Exception:
        contain("reading what a model of DSPy's has answered")
        return iter(())
