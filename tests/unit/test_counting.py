"""Which span counts, and who hands what to whom, span by span."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry import trace
from opentelemetry.trace import set_span_in_context

from clew import counting
from clew.repairs.masking import masked_facts
from clew.tracing import ClewTracerProvider
from tests.unit.conftest import Telemetry

KIND, TOKENS = "openinference.span.kind", "llm.token_count."
NAMES = ("prompt", "completion", "total", "prompt_details.cache_read")


class Frameworks:
    """The tracers of instrumentors, as `instrument_all` hands them out."""

    def __init__(self, **options):
        self.telemetry = Telemetry(**options)
        self.provider = ClewTracerProvider(self.telemetry.provider)

    def start(self, framework, name, inside=None, config=None, **attributes):
        real = self.provider.get_tracer(f"openinference.instrumentation.{framework}")
        tracer = OITracer(real, config or TraceConfig())
        context = None if inside is None else set_span_in_context(inside)
        return tracer.start_span(name, context=context, attributes=attributes)

    def llm(self, framework, name, inside=None, **options):
        return self.start(framework, name, inside, **options, **{KIND: "LLM"})

    def finished(self):
        """Return what each span says: its kind, and the numbers."""
        return {
            span.name: (
                span.attributes.get(KIND),
                *(span.attributes.get(TOKENS + it) for it in NAMES),
            )
            for span in self.telemetry.exporter.get_finished_spans()
        }

    def attributes(self, name):
        spans = self.telemetry.exporter.get_finished_spans()
        return next(span.attributes for span in spans if span.name == name)


def spend(span, prompt, completion, cached=None):
    span.set_attributes({TOKENS + "prompt": prompt, TOKENS + "completion": completion})
    span.set_attribute(TOKENS + "total", prompt + completion)
    if cached is not None:
        span.set_attribute(TOKENS + "prompt_details.cache_read", cached)


@pytest.fixture
def frameworks():
    return Frameworks()


NOTHING = (None,) * len(NAMES)


def test_the_outer_span_counts_and_the_provider_says_how_much(frameworks):
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


def test_a_detail_that_only_the_outer_span_knows_stays(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5)
    inner.end()
    spend(outer, 10, 5, cached=3)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, 3)


def test_a_total_that_nobody_says_is_the_sum(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("bedrock", "inner", outer)
    inner.set_attributes({TOKENS + "prompt": 10, TOKENS + "completion": 5})
    inner.end()
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_half_of_it_is_no_total(frameworks):
    outer = frameworks.llm("langchain", "outer")
    inner = frameworks.llm("bedrock", "inner", outer)
    inner.set_attribute(TOKENS + "prompt", 10)  # A stream of Claude's that was left says no more.
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
    assert [it for it in frameworks.finished().values() if it[0] == "LLM"] == [
        ("LLM", 20, 10, 30, None)
    ]


def test_what_is_said_of_the_call_moves_where_it_is_not_said(frameworks):
    outer = frameworks.llm("dspy", "outer", **{"llm.provider": "mine"})
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({"llm.model_name": "gpt", "llm.provider": "openai"})
    inner.set_attribute("llm.input_messages.0.message.content", "Where?")
    inner.end()
    outer.end()
    said = frameworks.attributes("outer")
    assert said["llm.model_name"] == "gpt"
    assert said["llm.provider"] == "mine"
    assert said["llm.input_messages.0.message.content"] == "Where?"
    assert frameworks.attributes("inner")["llm.model_name"] == "gpt"


ASKED = "llm.input_messages.{}.message.content"


def test_messages_move_as_a_whole_or_not_at_all(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({ASKED.format(0): "Be short.", ASKED.format(1): "Where?"})
    inner.set_attribute("llm.tools.0.tool.json_schema", "{}")
    inner.end()
    outer.set_attribute(ASKED.format(0), "Where?")  # As LlamaIndex, which says it at the end.
    outer.end()
    said = frameworks.attributes("outer")
    assert said[ASKED.format(0)] == "Where?"
    assert ASKED.format(1) not in said
    assert said["llm.tools.0.tool.json_schema"] == "{}"


def test_a_second_request_adds_what_the_first_did_not_say_and_mixes_nothing(frameworks):
    outer = frameworks.llm("dspy", "outer")
    for texts, answer in ((["Where?"], None), (["Be short.", "Where?"], "Out.")):
        inner = frameworks.llm("openai", "inner", outer)
        inner.set_attributes({ASKED.format(it): text for it, text in enumerate(texts)})
        if answer:
            inner.set_attribute("llm.output_messages.0.message.content", answer)
        inner.end()
    outer.end()
    said = frameworks.attributes("outer")
    assert [said.get(ASKED.format(it)) for it in range(2)] == ["Where?", None]
    assert said["llm.output_messages.0.message.content"] == "Out."


TEMPLATE = "llm.prompt_template.template"


def test_a_span_that_no_longer_counts_hands_what_it_says_to_the_one_that_does(frameworks):
    template = {TEMPLATE: "Where is {it}?", "llm.provider": "theirs", "input.value": "x"}
    outermost = frameworks.llm("llama_index", "outermost", metadata="{}")
    outer = frameworks.llm("llama_index", "outer", outermost, **template)
    inner = frameworks.llm("llama_index", "inner", outer, **{"llm.provider": "mine"})
    asked = frameworks.llm("openai", "asked", inner)
    asked.end()
    inner.end()
    outer.end()
    outermost.end()
    kinds = [frameworks.finished()[it][0] for it in ("outermost", "outer", "inner", "asked")]
    assert kinds == ["CHAIN", "CHAIN", "LLM", "CHAIN"]
    said = frameworks.attributes("inner")
    assert (said[TEMPLATE], said["llm.provider"], said["metadata"]) == (
        *("Where is {it}?", "mine", "{}"),
    )
    assert "input.value" not in said
    assert frameworks.attributes("outer")[TEMPLATE] == "Where is {it}?"
    assert not frameworks.attributes("asked").keys() & {TEMPLATE, "metadata"}


def test_each_of_the_calls_inside_is_told(frameworks):
    outer = frameworks.llm("llama_index", "outer", **{TEMPLATE: "Where is {it}?"})
    for name in ("one", "other"):
        frameworks.llm("llama_index", name, outer).end()
    outer.end()
    assert {frameworks.attributes(it)[TEMPLATE] for it in ("one", "other")} == {"Where is {it}?"}


def test_what_is_said_only_at_the_end_is_handed_over_before_and_masked(frameworks):
    config = TraceConfig(hide_input_messages=True)
    held_back = {TEMPLATE: "Where is {it}?", ASKED.format(0): "secret", "output.value": "x"}
    outer = frameworks.start("llama_index", "outer", config=config)
    counting.announce(outer, "LLM", partial(masked_facts, outer, held_back))
    frameworks.llm("llama_index", "inner", outer).end()
    outer.set_attributes({KIND: "LLM", **held_back})
    outer.end()
    said = frameworks.attributes("inner")
    assert said[TEMPLATE] == "Where is {it}?"
    assert not said.keys() & {ASKED.format(0), "output.value"}
    assert outer.clew_call.to_be_said is None


def test_nothing_is_handed_to_a_call_in_a_tool(frameworks):
    outer = frameworks.llm("llama_index", "outer", **{TEMPLATE: "Where is {it}?"})
    tool = frameworks.start("llama_index", "tool", outer, **{KIND: "TOOL"})
    frameworks.llm("llama_index", "inner", tool).end()
    tool.end()
    outer.end()
    assert TEMPLATE not in frameworks.attributes("inner")
    assert frameworks.finished()["outer"][0] == "LLM"


def test_a_span_has_nothing_evicted_for_what_is_handed_to_it():
    frameworks = Frameworks(limit=10)
    outer = frameworks.llm("dspy", "outer", **{"input.value": "first"})
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({f"llm.tools.{it}.tool.json_schema": "{}" for it in range(9)})
    inner.end()
    outer.set_attribute("llm.provider", "mine")
    outer.end()
    assert frameworks.attributes("outer")["input.value"] == "first"
    assert not any("tools" in it for it in frameworks.attributes("outer"))


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
    found = frameworks.finished()
    assert found["inner"] == (("CHAIN", *NOTHING) if outer_knows else ("LLM", 10, 5, 15, None))
    assert sum(total or 0 for _, _, _, total, _ in found.values()) == 15


def test_one_orchestrator_inside_another_leaves_the_counting_to_the_inner_one(frameworks):
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


def test_a_wrapper_that_asked_a_provider_nobody_traces_counts_after_all(frameworks):
    outer = frameworks.llm("dspy", "outer")
    beside = frameworks.llm("langchain", "beside", outer)
    beside.end()
    spend(outer, 10, 5)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_a_provider_between_hands_on_what_the_innermost_says(frameworks):
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
def test_other_work_of_a_provider_inside_a_call_stays_what_it_is(frameworks, kind):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.start("openai", "inner", outer, **{KIND: kind})
    spend(inner, 7, 0)
    inner.end()
    outer.end()
    assert frameworks.finished() == {
        "inner": (kind, 7, 0, 7, None),
        "outer": ("LLM", *NOTHING),
    }


def test_a_tool_inside_a_call_asks_a_model_for_itself(frameworks):
    outer = frameworks.llm("dspy", "outer")
    tool = frameworks.start("dspy", "tool", outer, **{KIND: "TOOL"})
    inner = frameworks.llm("openai", "inner", tool)
    spend(inner, 10, 5)
    for span in (inner, tool, outer):
        span.end()
    assert frameworks.finished()["inner"] == ("LLM", 10, 5, 15, None)
    assert frameworks.finished()["outer"] == ("LLM", *NOTHING)


def test_spans_of_the_application_between_lead_through(frameworks):
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


def test_a_kind_that_is_said_only_at_the_end_is_announced_at_the_start(frameworks):
    outer = frameworks.start("langchain", "outer")
    counting.announce(outer, "LLM")
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


def test_a_cache_hit_spends_nothing_whatever_is_said_later(frameworks):
    outer = frameworks.llm("langchain", "outer")
    counting.hit(outer)
    spend(outer, 10, 5, cached=2)
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 0, 0, 0, None)
    assert frameworks.attributes("outer")[counting.CACHE_HIT] is True


def test_numbers_outlast_the_attribute_limit():
    frameworks = Frameworks(limit=20)
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    spend(inner, 10, 5)
    inner.end()
    outer.set_attributes({f"llm.input_messages.{number}.x": number for number in range(50)})
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 10, 5, 15, None)


def test_names_of_opentelemetrys_own_are_not_said_twice(frameworks):
    config = TraceConfig(enable_genai_semconv=True)
    outer = frameworks.llm("dspy", "outer", config=config)
    inner = frameworks.llm("openai", "inner", outer, config=config)
    inner.set_attribute("llm.model_name", "gpt")
    spend(inner, 10, 5)
    inner.end()
    outer.end()
    assert frameworks.attributes("outer")["gen_ai.usage.input_tokens"] == 10
    assert [key for key in frameworks.attributes("inner") if key.startswith("gen_ai.")] == []


def test_many_threads_hand_over_to_one_call(frameworks):
    outer = frameworks.llm("dspy", "outer")

    def ask(number):
        inner = frameworks.llm("openai", f"inner {number}", outer)
        spend(inner, 10, 5)
        inner.end()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(200)))
    outer.end()
    assert frameworks.finished()["outer"] == ("LLM", 2000, 1000, 3000, None)


def test_kept_apart_on_demand(frameworks, monkeypatch):
    monkeypatch.setenv("CLEW_DUPLICATES", "keep")
    counting.read_duplicates()
    try:
        outer = frameworks.llm("dspy", "outer", **{TEMPLATE: "Where is {it}?"})
        inner = frameworks.llm("openai", "inner", outer, **{"llm.model_name": "gpt"})
        spend(inner, 10, 5)
        inner.end()
        spend(outer, 10, 5)
        outer.end()
    finally:
        monkeypatch.delenv("CLEW_DUPLICATES")
        counting.read_duplicates()
    both = ("LLM", 10, 5, 15, None)
    assert frameworks.finished() == {"inner": both, "outer": both}
    assert TEMPLATE not in frameworks.attributes("inner")
    assert "llm.model_name" not in frameworks.attributes("outer")
