"""What a model call costs, in US dollars, where ``CLEW_COST=1`` asks for it.

The prices come from the package genai-prices, which brings them along: nothing is fetched. A call
whose provider or model it does not know has no cost rather than a wrong one.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from opentelemetry.sdk.trace import Span

from clew.core import counters, settings
from clew.core.containment import contain
from clew.spans.kept_span import KeptSpan, take_on
from clew.spans.price_list import NO_PRICES, PIP_LINE, prices_are_installed

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

_wanted = False


def read_cost() -> None:
    """Read from the environment whether costs are wanted; load the prices if they are."""
    global _wanted  # The instrumentors are one per process, too
    _wanted = settings.COST.read()
    if _wanted and not prices_are_installed():
        _wanted = False
        message = f"{NO_PRICES}: {PIP_LINE}. The default is used: {settings.COST.default_text}"
        settings.say_once(settings.COST.name, "1", message)
    if _wanted:
        import genai_prices  # noqa: F401 - half a second: now, not in the first call


def price(span: Span) -> None:
    """Let *span*, of an instrumentor, say what it cost when it ends, if that is wanted."""
    if _wanted:
        take_on(span, PricedSpan)


class PricedSpan(KeptSpan):
    """What the class of a span adds to it that may say what it cost."""

    def end(self, end_time: int | None = None) -> None:
        """Say what the call cost, then end the span."""
        said = self.attributes or {}
        if said.get("openinference.span.kind") == "LLM" and self.is_recording():
            try:
                self.set_attributes(costs(said))
            except Exception:
                contain("pricing a model call")
        super().end(end_time)


def costs(said: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost attributes for a model call of which a span says this; none if unknown."""
    usage = tuple((name, said[key]) for name, key in _COUNTS.items() if said.get(key) is not None)
    model = said.get("llm.model_name")
    if not usage or not model or any(key in said for key in _COSTS):
        return {}
    provider = said.get("llm.provider") or said.get("llm.system") or ""
    for where, what in _read_as(str(model), str(provider)):
        found = _calculated(where, what, usage)
        if found is not None:
            # Of an answer whose length nobody stated it is not known what it cost.
            known = _COSTS if _COUNTS["output_tokens"] in said else _COSTS[:1]
            return dict(zip(known, map(float, found), strict=False))
    counters.count("model calls without a known price")
    return {}


def _read_as(model: str, provider: str) -> list[tuple[str, str]]:
    """Return the providers and models that these names may mean, the likeliest first.

    Without a provider's name there is none: many sell the same model for different prices.
    """
    names = [(provider, model)] if provider else []
    prefix, _, rest = model.partition("/")  # openai/gpt-4o-mini, arn:aws:bedrock:...:profile/model
    if rest:
        names.append((provider or prefix, rest) if ":" in prefix else (prefix, rest))
    return names


@lru_cache(maxsize=1024)
def _calculated(
    provider: str, model: str, usage: tuple[tuple[str, int], ...]
) -> tuple[Decimal, Decimal, Decimal] | None:
    from genai_prices import Usage, calc_price  # Loaded where costs are wanted

    try:
        found = calc_price(Usage(**dict(usage)), model_ref=model, provider_id=provider)
    except (LookupError, ValueError):  # Unknown; or no sense, as more tokens cached than in all.
        return None
    return found.input_price, found.output_price, found.total_price
