"""Counts model calls and their tokens: as the provider stated them, and as the spans have them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.providers import Exchange, Usage

_COUNTS = {
    "prompt": "prompt",
    "completion": "completion",
    "total": "total",
    "cached": "prompt_details.cache_read",
    "reasoning": "completion_details.reasoning",
}
_AGENTS = re.compile(r"/agents/|/retrieve|knowledgebases")
_NO_MODEL_CALL = re.compile(rf"embed|/guardrail|{_AGENTS.pattern}")
_MODERATIONS = re.compile(r"moderations|classifications")
"""Their spans have the kind GUARDRAIL. Mistral's SDK does not return their tokens."""


@dataclass(frozen=True)
class ModelCalls:
    """The number of model calls, and their tokens."""

    calls: int
    usage: Usage


def stated_by(exchanges: Iterable[Exchange]) -> ModelCalls:
    """Return the calls that a provider answered, with the tokens that it stated."""
    answered = [it for it in exchanges if it.status == 200 and not _MODERATIONS.search(it.path)]
    usage = sum((it.usage for it in answered if it.usage), Usage())
    return ModelCalls(sum(not _NO_MODEL_CALL.search(it.path) for it in answered), usage)


def calls_a_model(path: str) -> bool:
    """Whether one request to *path* is one call of a model."""
    return not _NO_MODEL_CALL.search(path)


def behind_an_agent(exchanges: Iterable[Exchange]) -> bool:
    """Whether several models may have worked behind one request."""
    return any(_AGENTS.search(it.path) for it in exchanges)


def counted_on(spans: Sequence[Any]) -> ModelCalls:
    """Return the number of LLM spans among *spans*, with their tokens."""
    llm = [span for span in spans if kind(span) == "LLM"]
    usage = {
        name: sum(span.attributes.get(f"llm.token_count.{key}", 0) for span in llm)
        for name, key in _COUNTS.items()
    }
    return ModelCalls(len(llm), Usage(**usage))


def double_counted(spans: Iterable[Any]) -> list[str]:
    """Return the names of spans with token counts that are no LLM or EMBEDDING spans."""
    return [
        span.name
        for span in spans
        if kind(span) not in {"LLM", "EMBEDDING"}
        and any(key.startswith(("llm.token_count.", "gen_ai.usage.")) for key in span.attributes)
    ]


def kind(span: Any) -> str | None:
    """Return the kind of a span, as OpenInference names it."""
    return span.attributes.get("openinference.span.kind")
