"""What people look for on LLM spans is on the one that counts, whichever span says it."""

from functools import partial

import pytest
from openinference.instrumentation import TraceConfig

from clew.instrument.repairs.masking import masked_facts
from clew.spans import model_calls
from tests.unit.model_calls import KIND, TEMPLATE, Frameworks


@pytest.fixture
def frameworks():
    return Frameworks()


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
    model_calls.announce_kind(outer, "LLM", partial(masked_facts, outer, held_back))
    frameworks.llm("llama_index", "inner", outer).end()
    outer.set_attributes({KIND: "LLM", **held_back})
    outer.end()
    said = frameworks.attributes("inner")
    assert said[TEMPLATE] == "Where is {it}?"
    assert not said.keys() & {ASKED.format(0), "output.value"}
    assert outer.clew_call.future_attributes is None


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
