"""LangChain: the spans of calls inside a run are not children of the run's span.

Upstream does not attach the span of a run to the context, so a provider's span starts a trace of
its own. It sets the kind of a run only at the end, and in asynchronous programs its callbacks run
in another thread. The repair runs them in the caller's thread, announces the kind of a run when it
starts, and notes the run where clew's tracer looks for a parent.
"""

import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from types import FrameType
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current

from clew.core.containment import contain
from clew.instrument.repairs.masking import masked_facts
from clew.patching.wrap import Patches
from clew.spans.framework_runs import (
    attach_run,
    context_outside_waiting_runs,
    context_with_run,
    end_run,
)
from clew.spans.model_calls import LLM, announce_kind

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_MODELS = "langchain_core.language_models"
_RUNNABLES = "langchain_core.runnables.base"
_BATCHES = frozenset({"batch", "_batch_with_config"})
"""The methods of `_RUNNABLES` that start all runs first. The asynchronous ones start each in a task
of its own, whose context the others do not see."""


def repair(instrumentor: Any) -> Callable[[], None]:
    """Note the runs that upstream's tracer starts, and forget those that it ends."""
    tracer = instrumentor._tracer  # Upstream's callback handler
    start, end = tracer._start_trace, tracer._end_trace  # Its two hooks

    def start_and_note(run: Any) -> None:
        token = attach(_context_for_new_run())
        try:
            start(run)
        finally:
            detach(token)
        try:
            span = tracer.get_span(run.id)
            if span is not None:
                kind = run.run_type.upper()
                announce_kind(span, kind, partial(_input_attributes, span, run))
                is_waiting = kind == LLM or _begins_in_a_batch()
                attach_run(run.id, partial(tracer.get_span, run.id), is_waiting=is_waiting)
        except Exception:
            contain("recording the start of a LangChain run")

    def end_and_forget(run: Any) -> None:
        end(run)
        try:
            end_run(run.id)
        except Exception:
            contain("recording the end of a LangChain run")

    def in_own_run(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> Any:
        token = attach(_context_of_own_run(tracer, args, kwargs))
        try:
            return wrapped(*args, **kwargs)
        finally:
            detach(token)

    async def in_own_run_async(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> Any:
        token = attach(_context_of_own_run(tracer, args, kwargs))
        try:
            return await wrapped(*args, **kwargs)
        finally:
            detach(token)

    vars(tracer).update(run_inline=True, _start_trace=start_and_note, _end_trace=end_and_forget)
    patches = Patches()
    # These call the provider for one of perhaps several runs, which have all started before.
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_generate_with_cache", in_own_run)
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_agenerate_with_cache", in_own_run_async)
    patches.wrap(f"{_MODELS}.llms:BaseLLM", "_generate_helper", in_own_run)
    patches.wrap(f"{_MODELS}.llms:BaseLLM", "_agenerate_helper", in_own_run_async)

    def undo() -> None:
        patches.undo()
        for name in ("run_inline", "_start_trace", "_end_trace"):
            vars(tracer).pop(name, None)

    return undo


def _begins_in_a_batch() -> bool:
    """Tell whether LangChain is starting the runs of a whole batch, before any of them works."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != _RUNNABLES:
        frame = frame.f_back
    if frame is not None and frame.f_code.co_name == "<listcomp>":  # Until Python 3.11
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name in _BATCHES


def _input_attributes(span: Any, run: Any) -> dict[str, Any]:
    """Return the attributes of a model's run that are known before the response."""
    from openinference.instrumentation.langchain import _tracer as upstream  # Loaded by now

    known = chain(
        upstream._prompts(run.inputs),  # Upstream calls these when a run has ended
        upstream._input_messages(run.inputs),
        upstream._prompt_template(run),
        upstream._invocation_parameters(run),
        upstream._llm_provider(run.extra),
        upstream._llm_system(run.extra),
        upstream._model_name(run.outputs, run.extra),
        upstream._tools(run),
        upstream._metadata(run),
    )
    return masked_facts(span, dict(upstream._flatten(known)))


def _context_for_new_run() -> Context:
    """Return a context in which runs that start at the same time do not become nested."""
    try:
        return context_outside_waiting_runs()
    except Exception:
        contain("starting a LangChain run")
        return get_current()


def _context_of_own_run(tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Context:
    """Return a context in which the run that the arguments name is the current one."""
    try:
        managers = [*args, kwargs.get("run_manager"), *(kwargs.get("run_managers") or ())]
        for manager in managers:
            first = manager[0] if isinstance(manager, list) and manager else manager
            run_id = getattr(first, "run_id", None)
            if run_id is not None and tracer.get_span(run_id) is not None:
                return context_with_run(run_id, partial(tracer.get_span, run_id))
    except Exception:
        contain("finding a LangChain run")
    return get_current()
