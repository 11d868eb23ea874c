"""LangChain: the span of a chat model's call that is cancelled never ends, and is lost.

LangChain tells its callbacks of no end when `agenerate` is cancelled: as it is when a request's
client hangs up, or a timeout is over. The repair tells upstream's callback, and no other one.
"""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from clew.core.containment import contain
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_CHAT_MODEL = "langchain_core.language_models.chat_models:BaseChatModel"
_runs: ContextVar[list[Any] | None] = ContextVar("clew-langchain-runs", default=None)
"""The runs that the current call of `agenerate` has begun."""


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap what calls a chat model, and what is called for each of its prompts."""
    tracer = instrumentor._tracer

    async def end_if_cancelled(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> Any:
        begun: list[Any] = []
        token = _runs.set(begun)
        try:
            return await wrapped(*args, **kwargs)
        except CancelledError as error:
            _end(tracer, begun, error)
            raise
        finally:
            _runs.reset(token)

    def note_run(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> Any:
        # It is called in a task of its own, whose context has the same list.
        if (runs := _runs.get()) is not None:
            runs.append(kwargs.get("run_manager"))
        return wrapped(*args, **kwargs)

    patches = Patches()
    patches.wrap(_CHAT_MODEL, "agenerate", end_if_cancelled)
    patches.wrap(_CHAT_MODEL, "_agenerate_with_cache", note_run)
    return patches.undo


def _end(tracer: Any, runs: list[Any], error: CancelledError) -> None:
    """End the spans of *runs* that are open still: of the others LangChain has told the end."""
    try:
        for run in runs:
            if run is not None and tracer.get_span(run.run_id) is not None:
                tracer.on_llm_error(error, run_id=run.run_id)
    except Exception:
        contain("ending the span of a cancelled call")
