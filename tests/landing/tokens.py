"""Model calls and tokens: what the provider said of them, and what the spans say."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.providers import Exchange, Usage

_COUNTS = {
    "prompt": "prompt",
    "completion": "completion",
    "total": "total",
    "cached": "prompt_details.cache_read",
    "reasoning": "completion_details.reasoning",
}
_AGENTS = re.compile(r"/agents/|/retrieve|knowledgebases")
_NO_MODEL_CALL = re.compile(rf"embed|/guardrail|{_AGENTS.pattern}")
_JUDGES = re.compile(r"moderations|classifications")
"""They answer nobody: a GUARDRAIL. Mistral's SDK does not hand on what these requests took."""


@dataclass(frozen=True)
class Spent:
    """How many model calls there were, and what they cost in tokens."""

    calls: int
    usage: Usage


def said_by(exchanges: Iterable[Exchange]) -> Spent:
    """Return what a provider answered, and said that it took."""
    answered = [it for it in exchanges if it.status == 200 and not _JUDGES.search(it.path)]
    usage = sum((it.usage for it in answered if it.usage), Usage())
    return Spent(sum(not _NO_MODEL_CALL.search(it.path) for it in answered), usage)


def calls_a_model(path: str) -> bool:
    """Whether one request to *path* is one call of a model."""
    return not _NO_MODEL_CALL.search(path)


def behind_an_agent(exchanges: Iterable[Exchange]) -> bool:
    """Whether several models may have worked behind one request."""
    return any(_AGENTS.search(it.path) for it in exchanges)


def on(spans: Sequence[Any]) -> Spent:
    """Return what the LLM spans among *spans* say."""
    llm = [span for span in spans if kind(span) == "LLM"]
    usage = {
        name: sum(span.attributes.get(f"llm.token_count.{key}", 0) for span in llm)
        for name, key in _COUNTS.items()
    }
    return Spent(len(llm), Usage(**usage))


def said_twice(spans: Iterable[Any]) -> list[str]:
    """Return the names of the spans that count tokens, and are not what makes a model work."""
    return [
        span.name
        for span in spans
        if kind(span) not in {"LLM", "EMBEDDING"}
        and any(key.startswith(("llm.token_count.", "gen_ai.usage.")) for key in span.attributes)
    ]


def kind(span: Any) -> str | None:
    """Return the kind of a span, as OpenInference names it."""
    return span.attributes.get("openinference.span.kind")
