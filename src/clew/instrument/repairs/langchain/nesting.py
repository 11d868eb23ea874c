"""LangChain: what is called inside a run is not a child of the run's span.

Upstream does not attach the span of a run to the context, so that a provider's span starts a trace
of its own. It says only at the end that a run was a model call, and in asynchronous programs its
callbacks run in another thread. The repair runs them in place, says what a run is when it starts,
and notes it where the seam looks for a parent.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain
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


def repair(instrumentor: Any) -> Callable[[], None]:
    """Note the runs that upstream's tracer is told of."""
    tracer = instrumentor._tracer  # Upstream's callback handler
    start, end = tracer._start_trace, tracer._end_trace  # Its two hooks

    def started(run: Any) -> None:
        token = attach(_for_a_run_to_begin_in())
        try:
            start(run)
        finally:
            detach(token)
        try:
            span = tracer.get_span(run.id)
            if span is not None:
                kind = run.run_type.upper()
                announce_kind(span, kind, partial(_to_be_said, span, run))
                attach_run(run.id, partial(tracer.get_span, run.id), is_waiting=kind == LLM)
        except Exception:
            contain("noting a run of LangChain's")

    def ended(run: Any) -> None:
        end(run)
        try:
            end_run(run.id)
        except Exception:
            contain("forgetting a run of LangChain's")

    def asking(wrapped: Any, _model: Any, arguments: Any, named: Any) -> Any:
        token = attach(_of_its_own_run(tracer, arguments, named))
        try:
            return wrapped(*arguments, **named)
        finally:
            detach(token)

    async def asking_async(wrapped: Any, _model: Any, arguments: Any, named: Any) -> Any:
        token = attach(_of_its_own_run(tracer, arguments, named))
        try:
            return await wrapped(*arguments, **named)
        finally:
            detach(token)

    vars(tracer).update(run_inline=True, _start_trace=started, _end_trace=ended)
    patches = Patches()
    # These ask the provider for one of perhaps several runs, which all have begun before.
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_generate_with_cache", asking)
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_agenerate_with_cache", asking_async)
    patches.wrap(f"{_MODELS}.llms:BaseLLM", "_generate_helper", asking)
    patches.wrap(f"{_MODELS}.llms:BaseLLM", "_agenerate_helper", asking_async)

    def undo() -> None:
        patches.undo()
        for name in ("run_inline", "_start_trace", "_end_trace"):
            vars(tracer).pop(name, None)

    return undo


def _to_be_said(span: Any, run: Any) -> dict[str, Any]:
    """Return those attributes of a model's run that are known before it has an answer."""
    from openinference.instrumentation.langchain import _tracer as upstream  # Traced

    known = chain(
        upstream._prompts(run.inputs),  # What upstream does with a run that is over
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


def _for_a_run_to_begin_in() -> Context:
    """Return the context in which, of several runs begun at once, none is inside another."""
    try:
        return context_outside_waiting_runs()
    except Exception:
        contain("beginning a run of LangChain's")
        return get_current()


def _of_its_own_run(tracer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Context:
    """Return the context in which the run is stored that the arguments name."""
    try:
        managers = [*arguments, named.get("run_manager"), *(named.get("run_managers") or ())]
        for manager in managers:
            first = manager[0] if isinstance(manager, list) and manager else manager
            run_id = getattr(first, "run_id", None)
            if run_id is not None and tracer.get_span(run_id) is not None:
                return context_with_run(run_id, partial(tracer.get_span, run_id))
    except Exception:
        contain("finding a run of LangChain's")
    return get_current()
