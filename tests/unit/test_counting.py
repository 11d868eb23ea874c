"""Which span of a model call counts, and what the others pass on to it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from openinference.instrumentation import TraceConfig
from opentelemetry import trace
from opentelemetry.trace import set_span_in_context

from clew.spans import model_calls
from tests.unit.model_calls import KIND, NAMES, TEMPLATE, TOKENS, Frameworks, spend


@pytest.fixture
def frameworks():
    return Frameworks()


NOTHING = (None,) * len(NAMES)


def test_the_outer_span_counts_with_the_providers_numbers(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5, cached=4)
    inner.end()
    spend(outer, 99, 99)
    outer.end()
    assert frameworks.finished() == {
        "inner": ("CHAIN", *NOTHING),
        "outer": ("LLM", 10, 5, 15, 4),
    }


def test_a_number_that_only_the_outer_span_has_stays(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5)
    inner.end()
    spend(outer, 10, 5, cached=3)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, 3)


def test_a_missing_total_is_the_sum(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("bedrock", "inner", outer)
    inner.set_attributes({TOKENS + "prompt": 10, TOKENS + "completion": 5})
    inner.end()
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_without_completion_tokens_there_is_no_total(frameworks):
    outer = frameworks.llm("langchain", "outer")
    inner = frameworks.llm("bedrock", "inner", outer)
    inner.set_attribute(TOKENS + "prompt", 10)  # All that Claude's unread stream reports.
    inner.end()
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, None, None, None)


def test_several_requests_for_one_call_add_up(frameworks):
    outer = frameworks.llm("dspy", "outer")
    for number in range(3):
        inner = frameworks.llm("openai", f"inner {number}", outer)
        if number:  # The first is refused.
            spend(inner, 10, 5)
        inner.end()
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 20, 10, 30, None)
    assert [numbers for numbers in frameworks.finished().values() if numbers[0] == "LLM"] == [
        ("LLM", 20, 10, 30, None)
    ]


def test_a_direct_call_counts_itself(frameworks):
    alone = frameworks.llm("openai", "alone")
    spend(alone, 10, 5)
    alone.end()
    assert frameworks.finished() == {"alone": ("LLM", 10, 5, 15, None)}


@pytest.mark.parametrize("outer_knows", [False, True])
def test_after_the_call_the_next_one_counts_itself(frameworks, outer_knows):
    outer = frameworks.llm("dspy", "outer")
    if outer_knows:
        spend(outer, 10, 5)
    outer.end()
    late = frameworks.llm("openai", "late", outer)
    spend(late, 10, 5)
    late.end()
    assert frameworks.finished()["late"] == ("LLM", 10, 5, 15, None)


@pytest.mark.parametrize("outer_knows", [False, True])
def test_an_inner_span_that_outlives_the_call_loses_no_number(frameworks, outer_knows):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    if outer_knows:
        spend(outer, 10, 5)
    outer.end()
    spend(inner, 10, 5)
    inner.end()
    numbers = frameworks.finished()
    assert numbers["inner"] == (("CHAIN", *NOTHING) if outer_knows else ("LLM", 10, 5, 15, None))
    assert sum(total or 0 for _, _, _, total, _ in numbers.values()) == 15


def test_of_two_orchestrators_the_inner_one_counts(frameworks):
    outer = frameworks.llm("dspy", "outer")
    middle = frameworks.llm("langchain", "middle", outer)
    inner = frameworks.llm("openai", "inner", middle)
    spend(inner, 10, 5)
    for span in (inner, middle):
        span.end()
    spend(outer, 10, 5)
    outer.end()
    assert frameworks.finished() == {
        "inner": ("CHAIN", *NOTHING),
        "middle": ("LLM", 10, 5, 15, None),
        "outer": ("CHAIN", *NOTHING),
    }


def test_a_wrapper_that_calls_an_untraced_provider_counts_itself(frameworks):
    outer = frameworks.llm("dspy", "outer")
    beside = frameworks.llm("langchain", "beside", outer)
    beside.end()
    spend(outer, 10, 5)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_a_provider_in_the_middle_passes_the_innermost_numbers_on(frameworks):
    """As an instrumentor of LiteLLM does, which is not in the table."""
    outer = frameworks.llm("dspy", "outer")
    between = frameworks.llm("litellm", "between", outer)
    inner = frameworks.llm("openai", "inner", between)
    spend(inner, 10, 5)
    spend(between, 10, 5)
    for span in (inner, between, outer):
        span.end()
    assert frameworks.finished() == {
        "inner": ("CHAIN", *NOTHING),
        "between": ("CHAIN", *NOTHING),
        "outer": ("LLM", 10, 5, 15, None),
    }


def test_an_instrumentor_outside_the_table_may_be_the_outer_one(frameworks):
    outer = frameworks.llm("litellm", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5)
    inner.end()
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


@pytest.mark.parametrize("kind", ["EMBEDDING", "RETRIEVER"])
def test_other_kinds_of_spans_inside_a_call_keep_their_kind(frameworks, kind):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.start("openai", "inner", outer, **{KIND: kind})
    spend(inner, 7, 0)
    inner.end()
    outer.end()
    assert frameworks.finished() == {
        "inner": (kind, 7, 0, 7, None),
        "outer": ("LLM", *NOTHING),
    }


def test_a_model_call_of_a_tool_counts_itself(frameworks):
    outer = frameworks.llm("dspy", "outer")
    tool = frameworks.start("dspy", "tool", outer, **{KIND: "TOOL"})
    inner = frameworks.llm("openai", "inner", tool)
    spend(inner, 10, 5)
    for span in (inner, tool, outer):
        span.end()
    assert frameworks.finished()["inner"] == ("LLM", 10, 5, 15, None)
    assert frameworks.finished()["outer"] == ("LLM", *NOTHING)


def test_spans_of_the_application_may_be_in_between(frameworks):
    outer = frameworks.llm("dspy", "outer")
    tracer = trace.get_tracer("application", tracer_provider=frameworks.telemetry.provider)
    between = tracer.start_span("between", context=set_span_in_context(outer))
    deeper = tracer.start_span("deeper", context=set_span_in_context(between))
    inner = frameworks.llm("openai", "inner", deeper)
    spend(inner, 10, 5)
    for span in (inner, deeper, between, outer):
        span.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)
    assert frameworks.finished()["inner"] == ("CHAIN", *NOTHING)


def test_a_kind_that_is_set_at_the_end_can_be_announced_at_the_start(frameworks):
    outer = frameworks.start("langchain", "outer")
    model_calls.announce_kind(outer, "LLM")
    inner = frameworks.start("bedrock", "inner", outer)
    inner.set_attribute(KIND, "LLM")
    spend(inner, 10, 5)
    inner.end()
    outer.set_attribute(KIND, "LLM")
    outer.end()
    assert frameworks.finished() == {
        "inner": ("CHAIN", *NOTHING),
        "outer": ("LLM", 10, 5, 15, None),
    }


def test_a_cache_hit_has_no_tokens_whatever_is_set_later(frameworks):
    outer = frameworks.llm("langchain", "outer")
    model_calls.set_cache_hit(outer)
    spend(outer, 10, 5, cached=2)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 0, 0, 0, None)
    assert frameworks.attributes("outer")[model_calls.CACHE_HIT] is True


def test_the_attribute_limit_evicts_no_number():
    frameworks = Frameworks(limit=20)
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5)
    inner.end()
    outer.set_attributes({f"llm.input_messages.{number}.x": number for number in range(50)})
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_opentelemetrys_attributes_are_not_set_twice(frameworks):
    config = TraceConfig(enable_genai_semconv=True)
    outer = frameworks.llm("dspy", "outer", config=config)
    inner = frameworks.llm("openai", "inner", outer, config=config)
    inner.set_attribute("llm.model_name", "gpt")
    spend(inner, 10, 5)
    inner.end()
    outer.end()
    assert frameworks.attributes("outer")["gen_ai.usage.input_tokens"] == 10
    assert [key for key in frameworks.attributes("inner") if key.startswith("gen_ai.")] == []


def test_calls_in_many_threads_add_up_in_one_outer_call(frameworks):
    outer = frameworks.llm("dspy", "outer")

    def ask(number):
        inner = frameworks.llm("openai", f"inner {number}", outer)
        spend(inner, 10, 5)
        inner.end()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(200)))
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 2000, 1000, 3000, None)


def test_duplicates_can_be_kept(frameworks, monkeypatch):
    monkeypatch.setenv("CLEW_DUPLICATES", "keep")
    model_calls.read_duplicates_setting()
    try:
        outer = frameworks.llm("dspy", "outer", **{TEMPLATE: "Where is {it}?"})
        inner = frameworks.llm("openai", "inner", outer, **{"llm.model_name": "gpt"})
        spend(inner, 10, 5)
        inner.end()
        spend(outer, 10, 5)
        outer.end()
    finally:
        monkeypatch.delenv("CLEW_DUPLICATES")
        model_calls.read_duplicates_setting()
    both = ("LLM", 10, 5, 15, None)
    assert frameworks.finished() == {"inner": both, "outer": both}
    assert TEMPLATE not in frameworks.attributes("inner")
    assert "llm.model_name" not in frameworks.attributes("outer")
