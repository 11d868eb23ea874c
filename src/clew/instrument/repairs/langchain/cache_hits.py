"""LangChain: a cached answer counts its tokens again, or has no span.

A cached message still has the usage of the original call, and upstream reads it from there. A text
model whose answers are all cached starts no run at all. The repair marks both as cache hits.
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
    """Wrap the functions that read a cache."""
    tracer = instrumentor._tracer._tracer  # The tracer behind upstream's handler

    def mark_hit(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> Any:
        try:
            if (span := current_run_span()) is not None:
                set_cache_hit(span)
        except Exception:
            contain("tracing a cache hit")
        return wrapped(*args, **kwargs)

    def trace_hits(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        found = wrapped(*args, **kwargs)
        _trace_hits(tracer, args, kwargs, found)
        return found

    async def trace_hits_async(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        found = await wrapped(*args, **kwargs)
        _trace_hits(tracer, args, kwargs, found)
        return found

    patches = Patches()
    patches.wrap(f"{_MODELS}.chat_models:BaseChatModel", "_convert_cached_generations", mark_hit)
    patches.wrap(f"{_MODELS}.llms", "get_prompts", trace_hits)
    patches.wrap(f"{_MODELS}.llms", "aget_prompts", trace_hits_async)
    return patches.undo


def _trace_hits(tracer: Any, args: Sequence[Any], kwargs: Mapping[str, Any], found: Any) -> None:
    """Make a span for each prompt whose answer was in the cache."""
    try:
        bound = dict(zip(("params", "prompts"), args, strict=False)) | dict(kwargs)
        for index, generations in found[0].items():
            _trace_hit(tracer, bound["params"], bound["prompts"][index], generations[0].text)
    except Exception:
        contain("tracing a cache hit")


def _trace_hit(tracer: Any, params: Mapping[str, Any], prompt: str, answer: str) -> None:
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
