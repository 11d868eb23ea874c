"""The attributes by which people search for model calls are on the LLM span that counts."""

from functools import partial

import pytest
from openinference.instrumentation import TraceConfig

from clew.instrument.repairs.masking import masked_facts
from clew.spans import model_calls
from tests.unit.model_calls import KIND, TEMPLATE, Frameworks


@pytest.fixture
def frameworks():
    return Frameworks()


def test_missing_attributes_are_copied_to_the_outer_span(frameworks):
    outer = frameworks.llm("dspy", "outer", **{"llm.provider": "mine"})
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({"llm.model_name": "gpt", "llm.provider": "openai"})
    inner.set_attribute("llm.input_messages.0.message.content", "Where?")
    inner.end()
    outer.end()
    attributes = frameworks.attributes("outer")
    assert attributes["llm.model_name"] == "gpt"
    assert attributes["llm.provider"] == "mine"
    assert attributes["llm.input_messages.0.message.content"] == "Where?"
    assert frameworks.attributes("inner")["llm.model_name"] == "gpt"


INPUT_MESSAGE = "llm.input_messages.{}.message.content"


def test_messages_are_copied_as_a_whole_or_not_at_all(frameworks):
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({INPUT_MESSAGE.format(0): "Be short.", INPUT_MESSAGE.format(1): "Where?"})
    inner.set_attribute("llm.tools.0.tool.json_schema", "{}")
    inner.end()
    outer.set_attribute(INPUT_MESSAGE.format(0), "Where?")  # At the end, as LlamaIndex does.
    outer.end()
    attributes = frameworks.attributes("outer")
    assert attributes[INPUT_MESSAGE.format(0)] == "Where?"
    assert INPUT_MESSAGE.format(1) not in attributes
    assert attributes["llm.tools.0.tool.json_schema"] == "{}"


def test_a_second_request_adds_missing_attributes_and_mixes_nothing(frameworks):
    outer = frameworks.llm("dspy", "outer")
    for texts, answer in ((["Where?"], None), (["Be short.", "Where?"], "Out.")):
        inner = frameworks.llm("openai", "inner", outer)
        inner.set_attributes(
            {INPUT_MESSAGE.format(index): text for index, text in enumerate(texts)}
        )
        if answer:
            inner.set_attribute("llm.output_messages.0.message.content", answer)
        inner.end()
    outer.end()
    attributes = frameworks.attributes("outer")
    assert [attributes.get(INPUT_MESSAGE.format(index)) for index in range(2)] == ["Where?", None]
    assert attributes["llm.output_messages.0.message.content"] == "Out."


def test_outer_spans_pass_their_attributes_to_the_one_that_counts(frameworks):
    template = {TEMPLATE: "Where is {it}?", "llm.provider": "theirs", "input.value": "x"}
    outermost = frameworks.llm("llama_index", "outermost", metadata="{}")
    outer = frameworks.llm("llama_index", "outer", outermost, **template)
    inner = frameworks.llm("llama_index", "inner", outer, **{"llm.provider": "mine"})
    provider_call = frameworks.llm("openai", "provider_call", inner)
    provider_call.end()
    inner.end()
    outer.end()
    outermost.end()
    names = ("outermost", "outer", "inner", "provider_call")
    kinds = [frameworks.finished()[name][0] for name in names]
    assert kinds == ["CHAIN", "CHAIN", "LLM", "CHAIN"]
    attributes = frameworks.attributes("inner")
    assert (attributes[TEMPLATE], attributes["llm.provider"], attributes["metadata"]) == (
        *("Where is {it}?", "mine", "{}"),
    )
    assert "input.value" not in attributes
    assert frameworks.attributes("outer")[TEMPLATE] == "Where is {it}?"
    assert not frameworks.attributes("provider_call").keys() & {TEMPLATE, "metadata"}


def test_each_of_the_inner_calls_gets_the_attributes(frameworks):
    outer = frameworks.llm("llama_index", "outer", **{TEMPLATE: "Where is {it}?"})
    for name in ("one", "other"):
        frameworks.llm("llama_index", name, outer).end()
    outer.end()
    templates = {frameworks.attributes(name)[TEMPLATE] for name in ("one", "other")}
    assert templates == {"Where is {it}?"}


def test_attributes_set_only_at_the_end_are_copied_before_and_masked(frameworks):
    config = TraceConfig(hide_input_messages=True)
    future_attributes = {
        TEMPLATE: "Where is {it}?",
        INPUT_MESSAGE.format(0): "secret",
        "output.value": "x",
    }
    outer = frameworks.start("llama_index", "outer", config=config)
    model_calls.announce_kind(outer, "LLM", partial(masked_facts, outer, future_attributes))
    frameworks.llm("llama_index", "inner", outer).end()
    outer.set_attributes({KIND: "LLM", **future_attributes})
    outer.end()
    attributes = frameworks.attributes("inner")
    assert attributes[TEMPLATE] == "Where is {it}?"
    assert not attributes.keys() & {INPUT_MESSAGE.format(0), "output.value"}
    assert outer.clew_call.future_attributes is None


def test_nothing_is_copied_to_a_call_in_a_tool(frameworks):
    outer = frameworks.llm("llama_index", "outer", **{TEMPLATE: "Where is {it}?"})
    tool = frameworks.start("llama_index", "tool", outer, **{KIND: "TOOL"})
    frameworks.llm("llama_index", "inner", tool).end()
    tool.end()
    outer.end()
    assert TEMPLATE not in frameworks.attributes("inner")
    assert frameworks.finished()["outer"][0] == "LLM"


def test_copied_attributes_evict_nothing():
    frameworks = Frameworks(limit=10)
    outer = frameworks.llm("dspy", "outer", **{"input.value": "first"})
    inner = frameworks.llm("openai", "inner", outer)
    inner.set_attributes({f"llm.tools.{index}.tool.json_schema": "{}" for index in range(9)})
    inner.end()
    outer.set_attribute("llm.provider", "mine")
    outer.end()
    assert frameworks.attributes("outer")["input.value"] == "first"
    assert not any("tools" in key for key in frameworks.attributes("outer"))
