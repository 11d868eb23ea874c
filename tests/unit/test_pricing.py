"""Costs are those of genai-prices; a call whose price is unknown has none."""

import pytest

from clew.core import counters
from clew.spans.cost import cost_attributes

genai_prices = pytest.importorskip("genai_prices")

ATTRIBUTES = {
    "llm.provider": "openai",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 1_000_000,
    "llm.token_count.prompt_details.cache_read": 400_000,
    "llm.token_count.completion": 10_000,
    "llm.token_count.completion_details.reasoning": 5_000,
    "llm.token_count.total": 1_010_000,
}


def total(**attributes):
    return cost_attributes(ATTRIBUTES | attributes).get("llm.cost.total")


def listed(model, provider, **usage):
    usage = genai_prices.Usage(**{"input_tokens": 1_000_000, "output_tokens": 10_000} | usage)
    return genai_prices.calc_price(usage, model_ref=model, provider_id=provider)


def test_cached_tokens_have_their_own_price():
    costs = cost_attributes(ATTRIBUTES)
    price = listed("gpt-4o-mini", "openai", cache_read_tokens=400_000)
    assert costs == {
        "llm.cost.prompt": pytest.approx(float(price.input_price)),
        "llm.cost.completion": pytest.approx(float(price.output_price)),
        "llm.cost.total": pytest.approx(float(price.total_price)),
    }
    uncached = float(listed("gpt-4o-mini", "openai").total_price)
    assert 0 < costs["llm.cost.total"] < uncached


def test_without_completion_tokens_only_the_prompt_has_a_cost():
    attributes = {
        key: value for key, value in ATTRIBUTES.items() if "prompt" in key or "token" not in key
    }
    assert cost_attributes(attributes) == {
        "llm.cost.prompt": cost_attributes(ATTRIBUTES)["llm.cost.prompt"]
    }


@pytest.mark.parametrize(
    ("model", "provider", "listed_as"),
    [
        ("openai/gpt-4o-mini", "", ("gpt-4o-mini", "openai")),
        ("openai/gpt-4o-mini", "openai", ("gpt-4o-mini", "openai")),
        ("mistral-small-latest", "mistralai", ("mistral-small-latest", "mistral")),
        ("amazon.nova-lite-v1:0", "aws", ("amazon.nova-lite-v1:0", "aws")),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0",
            "aws",
            ("us.amazon.nova-lite-v1:0", "aws"),
        ),
    ],
)
def test_model_names_as_spans_have_them(model, provider, listed_as):
    attributes = {"llm.model_name": model, "llm.provider": provider}
    attributes |= {"llm.token_count.prompt": 1_000_000, "llm.token_count.completion": 10_000}
    assert cost_attributes(attributes)["llm.cost.total"] == pytest.approx(
        float(listed(*listed_as).total_price)
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"llm.model_name": "gpt-4o-minix"},
        {"llm.model_name": "smollm2"},
        {"llm.provider": "an-unknown-one"},
        {"llm.provider": ""},
        {"llm.token_count.prompt_details.cache_read": 2_000_000},
    ],
)
def test_an_unknown_price_means_no_cost(attributes):
    before = counters.counted().get("model calls without a known price", 0)
    assert cost_attributes(ATTRIBUTES | attributes) == {}
    assert counters.counted()["model calls without a known price"] == before + 1


def test_a_cost_that_is_set_already_stays():
    assert cost_attributes(ATTRIBUTES | {"llm.cost.total": 3.0}) == {}


def test_no_tokens_cost_nothing():
    spent = {key: 0 for key in ATTRIBUTES if "token_count" in key}
    assert total(**spent) == 0
    assert cost_attributes({"llm.model_name": "gpt-4o-mini", "llm.provider": "openai"}) == {}
