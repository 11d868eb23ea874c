"""Costs are the price list's, and absent where it does not know."""

import pytest

from clew.core import counters
from clew.spans.cost import cost_attributes

genai_prices = pytest.importorskip("genai_prices")

SAID = {
    "llm.provider": "openai",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 1_000_000,
    "llm.token_count.prompt_details.cache_read": 400_000,
    "llm.token_count.completion": 10_000,
    "llm.token_count.completion_details.reasoning": 5_000,
    "llm.token_count.total": 1_010_000,
}


def total(**said):
    return cost_attributes(SAID | said).get("llm.cost.total")


def listed(model, provider, **usage):
    usage = genai_prices.Usage(**{"input_tokens": 1_000_000, "output_tokens": 10_000} | usage)
    return genai_prices.calc_price(usage, model_ref=model, provider_id=provider)


def test_cached_tokens_cost_what_they_cost():
    found = cost_attributes(SAID)
    wanted = listed("gpt-4o-mini", "openai", cache_read_tokens=400_000)
    assert found == {
        "llm.cost.prompt": pytest.approx(float(wanted.input_price)),
        "llm.cost.completion": pytest.approx(float(wanted.output_price)),
        "llm.cost.total": pytest.approx(float(wanted.total_price)),
    }
    uncached = float(listed("gpt-4o-mini", "openai").total_price)
    assert 0 < found["llm.cost.total"] < uncached


def test_an_answer_whose_length_nobody_stated_has_no_cost():
    said = {key: value for key, value in SAID.items() if "prompt" in key or "token" not in key}
    assert cost_attributes(said) == {"llm.cost.prompt": cost_attributes(SAID)["llm.cost.prompt"]}


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
def test_models_by_the_names_that_spans_give_them(model, provider, listed_as):
    said = {"llm.model_name": model, "llm.provider": provider}
    said |= {"llm.token_count.prompt": 1_000_000, "llm.token_count.completion": 10_000}
    assert cost_attributes(said)["llm.cost.total"] == pytest.approx(
        float(listed(*listed_as).total_price)
    )


@pytest.mark.parametrize(
    "said",
    [
        {"llm.model_name": "gpt-4o-minix"},
        {"llm.model_name": "smollm2"},
        {"llm.provider": "an-unknown-one"},
        {"llm.provider": ""},
        {"llm.token_count.prompt_details.cache_read": 2_000_000},
    ],
)
def test_what_is_not_known_has_no_cost(said):
    before = counters.counted().get("model calls without a known price", 0)
    assert cost_attributes(SAID | said) == {}
    assert counters.counted()["model calls without a known price"] == before + 1


def test_a_cost_that_is_said_already_stays():
    assert cost_attributes(SAID | {"llm.cost.total": 3.0}) == {}


def test_no_tokens_cost_nothing():
    spent = {key: 0 for key in SAID if "token_count" in key}
    assert total(**spent) == 0
    assert cost_attributes({"llm.model_name": "gpt-4o-mini", "llm.provider": "openai"}) == {}
