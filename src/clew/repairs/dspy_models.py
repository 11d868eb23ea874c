"""DSPy: a model of the application's own, a ``class Mine(dspy.BaseLM)``, has no span.

Upstream wraps ``dspy.LM`` alone. The repair has upstream's own wrappers put around the base class
and around each subclass that overrides ``__call__`` or ``acall``, also those yet to be defined.
That a call which comes through several of them has one span is seen to in `dspy_tokens`, which
also reads the response's usage.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.boundary import contain
from clew.loading import undo_all
from clew.repairs.wrapping import wrapped, wrapped_throughout

MADE_FOR = ("openinference-instrumentation-dspy>=0.1.48,<0.2", "dspy>=3,<4")

_WRAPPERS = {"__call__": "_LMCallWrapper", "acall": "_LMAcallWrapper"}


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap the methods of every model that upstream has not wrapped."""
    from dspy import BaseLM  # noqa: PLC0415 - no framework is imported at module level
    from openinference.instrumentation import dspy as upstream  # noqa: PLC0415 - as above

    tracer = instrumentor._tracer  # noqa: SLF001 - the tracer it was switched on with
    wrappers = {name: getattr(upstream, kind)(tracer) for name, kind in _WRAPPERS.items()}
    forget = wrapped_throughout(BaseLM, wrappers)
    undo = wrapped(
        "openinference.instrumentation.dspy",
        {"_normalize_lm_arguments": _arguments, "_llm_output_messages": _messages},
    )
    return partial(undo_all, [forget, undo], "unwrapping DSPy's classes")


def _arguments(upstream: Any, _instance: Any, arguments: Any, named: Any) -> Any:
    """Find the prompt and the messages of a ``__call__(self, *anything, **named)``."""
    try:
        found = dict(upstream(*arguments, **named))
        if "prompt" in found or "messages" in found:
            return found
        for value in list(found.values()):
            if isinstance(value, tuple) and value:
                found["prompt"] = value[0]
            if isinstance(value, dict):
                found |= {name: value[name] for name in ("prompt", "messages") if name in value}
    except Exception:  # noqa: BLE001 - the boundary to the application
        contain("reading what a model of DSPy's is asked")
        return {}
    return found


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
    except Exception:  # noqa: BLE001 - the boundary to the application
        contain("reading what a model of DSPy's has answered")
        return iter(())
