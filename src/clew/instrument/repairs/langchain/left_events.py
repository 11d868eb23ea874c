"""LangChain: `astream_events` that is left by ``break`` is an error, and may leave spans open.

The run works in a task of its own, which LangChain cancels when its reader has gone. Upstream
records that as an error of the run, though nothing has failed: the repair says so to `left_streams`
by a note in the context of the task. And of a run that is cancelled while LangChain tells its
callbacks of the start, it never tells the end. The repair tells upstream's callback, and no other.
"""

import sys
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

from clew.core.containment import contain
from clew.instrument.repairs.langchain.left_streams import Reader, reader_of_task
from clew.patching.wrap import Patches

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_RUNNABLES = "langchain_core.runnables.base"
_CALLBACKS = "langchain_core.callbacks.manager"
_FAILING = {"chain": "chain", "tool": "tool", "retriever": "retriever", "llm": "llm"}
_FAILING |= {"chat_model": "llm"}
"""As what upstream's callback is told of an error, for each kind that it is told a start of."""
_RUN_ID = 2
"""The position of ``run_id`` in the arguments of the methods that tell a start."""


def repair(instrumentor: Any) -> Callable[[], None]:
    """Wrap what makes the task, and what tells the callbacks of a start."""
    tracer = instrumentor._tracer
    patches = Patches()
    patches.wrap(_RUNNABLES, "_astream_events_implementation_v2", _read_events)
    for kind, failing in _FAILING.items():
        wrapper = _starting(tracer, f"on_{failing}_error")
        patches.wrap(f"{_CALLBACKS}:AsyncCallbackManager", f"on_{kind}_start", wrapper)
    return patches.undo


async def _read_events(wrapped: Any, _: Any, args: Any, kwargs: Any) -> AsyncIterator[Any]:
    events, reader = wrapped(*args, **kwargs), Reader(reader_of_task.get())
    try:
        reader_of_task.set(reader)  # The task is made in the first step, and copies the context.
        try:
            event = await anext(events, None)
        finally:
            reader_of_task.set(reader.outer)
        while event is not None:
            yield event
            event = await anext(events, None)
    except GeneratorExit:
        reader.has_left = True
        raise
    finally:
        await events.aclose()


def _starting(tracer: Any, failing: str) -> Callable[..., Any]:
    async def start(wrapped: Any, _manager: Any, args: Any, kwargs: Any) -> Any:
        run_id = args[_RUN_ID] if len(args) > _RUN_ID else _with_run_id(kwargs)
        try:
            return await wrapped(*args, **kwargs)
        except CancelledError as error:
            _end(tracer, failing, run_id, error)
            raise

    return start


def _with_run_id(kwargs: dict[str, Any]) -> Any:
    """Return the id of the run, which is set here if LangChain would set it only inside."""
    try:
        if kwargs.get("run_id") is None:
            make_id = getattr(sys.modules.get(_CALLBACKS), "uuid7", uuid4)  # As LangChain does
            kwargs["run_id"] = make_id()
        return kwargs["run_id"]
    except Exception:
        contain("choosing the id of a LangChain run")
        return None


def _end(tracer: Any, failing: str, run_id: Any, error: CancelledError) -> None:
    """End the span of the run, if it has one and that is open."""
    try:
        if run_id is not None and tracer.get_span(run_id) is not None:
            getattr(tracer, failing)(error, run_id=run_id)
    except Exception:
        contain("ending the span of a run that was cancelled at its start")
