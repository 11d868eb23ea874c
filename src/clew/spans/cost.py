"""Sets what a model call costs, in US dollars, if ``CLEW_COST=1`` is set.

The package genai-prices contains the prices: nothing is fetched. A call whose provider or model it
does not know gets no cost rather than a wrong one.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from clew.core import counters, settings
from clew.spans.kept_span import KeptSpan
from clew.spans.price_list import NO_PRICES, PIP_LINE, prices_are_installed

_KIND = "openinference.span.kind"
_TOKENS = "llm.token_count."
_COUNTS = {
    "input_tokens": _TOKENS + "prompt",
    "cache_read_tokens": _TOKENS + "prompt_details.cache_read",
    "cache_write_tokens": _TOKENS + "prompt_details.cache_write",
    "input_audio_tokens": _TOKENS + "prompt_details.audio",
    "output_tokens": _TOKENS + "completion",
    "output_audio_tokens": _TOKENS + "completion_details.audio",
}
_COSTS = ("llm.cost.prompt", "llm.cost.completion", "llm.cost.total")

_enabled = False


def read_cost_setting() -> None:
    """Read from the environment whether costs are wanted; load the prices if they are."""
    global _enabled  # The instrumentors are one per process, too
    _enabled = settings.COST.read()
    if _enabled and not prices_are_installed():
        _enabled = False
        message = f"{NO_PRICES}: {PIP_LINE}. The default is used: {settings.COST.default_text}"
        settings.log_once(settings.COST.name, "1", message)
    if _enabled:
        import genai_prices  # noqa: F401 - half a second: now, not in the first call


def set_cost_at_end(span: KeptSpan) -> None:
    """Make *span*, an instrumentor's, set its cost when it ends, if costs are wanted."""
    if _enabled:
        span.clew_set_cost(_cost_of_model_call)


def _cost_of_model_call(attributes: Mapping[str, Any]) -> dict[str, float]:
    return cost_attributes(attributes) if attributes.get(_KIND) == "LLM" else {}


def cost_attributes(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost for a span with these *attributes*; nothing if it is unknown."""
    usage = tuple(
        (name, attributes[key]) for name, key in _COUNTS.items() if attributes.get(key) is not None
    )
    model = attributes.get("llm.model_name")
    if not usage or not model or any(key in attributes for key in _COSTS):
        return {}
    provider = attributes.get("llm.provider") or attributes.get("llm.system") or ""
    for provider_id, model_ref in _candidates(str(model), str(provider)):
        costs = _calculate(provider_id, model_ref, usage)
        if costs is not None:
            # Without a count of output tokens, the cost of the answer is not known.
            known = _COSTS if _COUNTS["output_tokens"] in attributes else _COSTS[:1]
            return dict(zip(known, map(float, costs), strict=False))
    counters.count("model calls without a known price")
    return {}


def _candidates(model: str, provider: str) -> list[tuple[str, str]]:
    """Return the pairs of provider and model that these names may mean, the likeliest first.

    Without a provider's name there is none: many sell the same model for different prices.
    """
    names = [(provider, model)] if provider else []
    prefix, _, rest = model.partition("/")  # openai/gpt-4o-mini, arn:aws:bedrock:...:profile/model
    if rest:
        names.append((provider or prefix, rest) if ":" in prefix else (prefix, rest))
    return names


@lru_cache(maxsize=1024)
def _calculate(
    provider: str, model: str, usage: tuple[tuple[str, int], ...]
) -> tuple[Decimal, Decimal, Decimal] | None:
    from genai_prices import Usage, calc_price  # Loaded only if costs are wanted

    try:
        price = calc_price(Usage(**dict(usage)), model_ref=model, provider_id=provider)
    except (LookupError, ValueError):  # Unknown; or impossible, as more tokens cached than in all.
        return None
    return price.input_price, price.output_price, price.total_price
