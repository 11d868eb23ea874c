"""LangChain: an answer from the cache spends the same tokens again, or leaves no span.

A cached message still says what it once cost, and upstream reads it there; a text model whose
answers are all cached starts no run at all. The repair says of both that they were hits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.trace import StatusCode

from clew.core.containment import contain
from clew.patching.wrap import Patches
from clew.spans.framework_runs import current_run_span
from clew.spans.model_calls import CACHE_HIT, KIND, LLM, NO_TOKENS, set_cache_hit

MADE_FOR = ("openinference-instrumentation-langchain>=0.1.80,<0.2", "langchain-core>=1,<2")

_MODELS = "langchain_core.language_models"


def repair(instrumentor: Any) -> Callable[[], None]:
    """Follow what reads a cache."""
    tracer = instrumentor._tracer._tracer  # The tracer behind upstream's handler

    def converting(wrapped: Any, _model: Any, arguments: Any, named: Any) -> Any:
        try:
            if (span := current_run_span()) is not None:
                set_cache_hit(span)
        except Exception:
            contain("saying what a cache answered")
        return wrapped(*arguments, **named)

    def looking_up(wrapped: Any, _: Any, arguments: Any, named: Any) -> Any:
        found = wrapped(*arguments, **named)
        _say_hits(tracer, arguments, named, found)
        return found

    async def looking_up_async(wrapped: Any, _: Any, arguments: Any, named: Any) -> Any:
        found = await wrapped(*arguments, **named)
        _say_hits(tracer, arguments, named, found)
        return found

    patches = Patches()
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_convert_cached_generations", converting)
    patches.wrap(f"{_MODELS}.llms", "get_prompts", looking_up)
    patches.wrap(f"{_MODELS}.llms", "aget_prompts", looking_up_async)
    return patches.undo


def _say_hits(tracer: Any, arguments: Sequence[Any], named: Mapping[str, Any], found: Any) -> None:
    """Make a span for each prompt whose answer was cached."""
    try:
        given = dict(zip(("params", "prompts"), arguments, strict=False)) | dict(named)
        for place, generations in found[0].items():
            _say_hit(tracer, given["params"], given["prompts"][place], generations[0].text)
    except Exception:
        contain("saying what a cache answered")


def _say_hit(tracer: Any, params: Mapping[str, Any], prompt: str, answer: str) -> None:
    attributes = {
        KIND: LLM,
        "input.value": prompt,
        "output.value": answer,
        CACHE_HIT: True,
        **NO_TOKENS,
    }
    if model := params.get("model_name") or params.get("model"):
        attributes["llm.model_name"] = str(model)
    span = tracer.start_span(str(params.get("_type", LLM)), attributes=attributes)
    span.set_status(StatusCode.OK)
    span.end()
