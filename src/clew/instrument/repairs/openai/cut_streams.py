"""OpenAI: the answer and tokens of a streamed Responses call that is cut or filtered are lost.

Upstream takes them from the event ``response.completed``. A stream whose answer is cut, filtered or
failed ends with another one, which has the same response in it. The repair takes that, too.
"""

from collections.abc import Callable
from typing import Any

from clew.core.containment import contain
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import wrap_functions

MADE_FOR = ("openinference-instrumentation-openai>=0.1.66,<0.2",)

_ENDS = frozenset({"response.incomplete", "response.failed"})


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give upstream the last event of every stream."""
    from openinference.instrumentation.openai import (
        _response_accumulator as accumulators,
    )

    accumulator: Any = accumulators._ResponsesAccumulator
    check_parameters(accumulator.process_chunk, "self", "chunk")
    return wrap_functions(accumulators, {"_ResponsesAccumulator.process_chunk": _process_chunk})


def _process_chunk(wrapped: Any, accumulator: Any, args: Any, kwargs: Any) -> None:
    wrapped(*args, **kwargs)
    try:
        event = args[0] if args else kwargs["chunk"]
        if getattr(event, "type", None) in _ENDS:
            accumulator._is_null = False
            accumulator._cached_result = None
            accumulator._values = event
    except Exception:
        contain("reading the end of a stream of OpenAI's")
