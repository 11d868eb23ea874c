"""OpenAI: the answer and tokens of a streamed Responses call that is cut or filtered are lost.

Upstream takes them from the event ``response.completed``. A stream whose answer is cut, filtered or
failed ends with another one, which has the same response in it. The repair takes that, too, and
the span of one that failed has failed.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Status, StatusCode

from clew.core.containment import contain
from clew.instrument.repairs import check_parameters
from clew.patching.wrap import wrap_in_modules

MADE_FOR = ("openinference-instrumentation-openai>=0.1.66,<0.2",)

_FAILED = "response.failed"
_ENDS = frozenset({"response.incomplete", _FAILED})


def repair(_instrumentor: Any) -> Callable[[], None]:
    """Give upstream the last event of every stream."""
    from openinference.instrumentation.openai import (
        _response_accumulator as accumulators,
    )
    from openinference.instrumentation.openai import (
        _stream as streams,
    )

    accumulator: Any = accumulators._ResponsesAccumulator
    stream: Any = streams._Stream
    check_parameters(accumulator.process_chunk, "self", "chunk")
    check_parameters(stream._finish_tracing, "self", "status")
    return wrap_in_modules(
        {
            accumulators: {"_ResponsesAccumulator.process_chunk": _process_chunk},
            streams: {"_Stream._finish_tracing": _finish_tracing},
        }
    )


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


def _finish_tracing(wrapped: Any, stream: Any, args: Any, kwargs: Any) -> None:
    try:
        event: Any = getattr(stream._self_response_accumulator, "_values", None)
        if getattr(event, "type", None) == _FAILED:
            kwargs = {"status": Status(StatusCode.ERROR, _reason(event.response))}
    except Exception:
        contain("reading why an answer of OpenAI's failed")
    wrapped(*args, **kwargs)


def _reason(response: Any) -> str:
    error = response.error
    return f"{error.code}: {error.message}" if error is not None else "the response failed"
