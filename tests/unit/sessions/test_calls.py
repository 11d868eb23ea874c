"""The calls of a turn: each once, in its place, with its figures."""

import json
from dataclasses import replace

import pytest

from clew.sessions import message_rules
from clew.sessions.model import Document, Tokens
from clew.sessions.words import turns_of
from clew.store.record import Event
from tests.unit.sessions.making import LANGCHAIN, OPENAI, chain, flat, model, span

ASKED = ("user", "Where is it?")
COUNTS = {"llm.token_count.prompt": 5, "llm.token_count.completion": 2}
MORE = {"llm.token_count.prompt": 6, "llm.token_count.completion": 2}
LLAMA_INDEX = "openinference.instrumentation.llama_index"


def calls(*spans):
    [turn] = turns_of(spans)
    return turn, turn.calls


def test_calls_are_in_order_with_those_inside_after_the_one_around():
    agent = chain("agent", "Where is it?", "In Graz.", kind="AGENT", took=9)
    helper = chain("helper", "Find it", "Graz", kind="AGENT", parent=agent, at=2, took=3)
    step = chain("step", None, None, parent=helper, at=2, took=3)
    inner = model(("user", "Find it"), says="Graz", parent=step, at=3)
    first = model(ASKED, parent=agent, at=1)
    tool = span("find", step, at=4, openinference__span__kind="TOOL")
    last = model(ASKED, says="In Graz.", parent=agent, at=6)
    spans = [agent, last, tool, inner, first, step, helper]
    turn, found = calls(*spans)
    assert [(it.kind, it.span_id, it.parent_id) for it in found] == [
        ("agent", agent.span_id, None),
        ("model", first.span_id, agent.span_id),
        ("agent", helper.span_id, agent.span_id),
        ("model", inner.span_id, helper.span_id),
        ("tool", tool.span_id, helper.span_id),
        ("model", last.span_id, agent.span_id),
    ]
    assert (turn.input.text, turn.output.text) == ("Where is it?", "In Graz.")


def test_a_sub_agents_answer_is_not_what_came_back():
    workflow = chain("Workflow", None, None, took=9)
    helper = chain("helper", None, None, kind="AGENT", parent=workflow, at=3, took=5)
    spans = [
        workflow,
        helper,
        model(ASKED, says="In Graz.", parent=workflow, at=1),
        model(("user", "Check that"), says="Checked.", parent=helper, at=4),
    ]
    turn, _ = calls(*spans)
    assert (turn.input.text, turn.output.text) == ("Where is it?", "In Graz.")


def test_nested_spans_of_one_model_call_are_one_call():
    outer = model(ASKED, says="In Graz.", took=3, scope=LANGCHAIN, attributes=COUNTS)
    first = Event("First Token Stream Event", 2_000_000_000, {})
    named = {"llm.model_name": "gpt-4o", "llm.finish_reason": "length", **MORE}
    inner = model(ASKED, says="In Graz.", parent=outer, at=1, attributes=named, events=(first,))
    turn, [call] = calls(outer, inner)
    assert (call.framework, call.model, call.span_id) == ("langchain", "gpt-4o", outer.span_id)
    assert turn.tokens == call.tokens == Tokens(6, 2, 8)
    assert call.finish_reason == "length"
    assert turn.frameworks == ("langchain", "openai")
    assert turn.time_to_first_token == 2


def test_the_first_token_may_be_known_from_a_span_inside_that_is_no_model_call():
    outer = model(ASKED, says="In Graz.", at=10, took=3, scope=LANGCHAIN)
    first = Event("First Token Stream Event", 12_000_000_000, {})
    inner = span("request", outer, at=11, scope=OPENAI, events=(first,))
    assert calls(outer, inner)[0].time_to_first_token == 2


@pytest.mark.parametrize("name", message_rules.ALTERNATIVES)
def test_of_several_answers_to_choose_from_the_first_one_counts(name):
    answers = flat("llm.output_messages.", ("assistant", "In Graz."), ("assistant", "In Wien."))
    asked_for = {"llm.invocation_parameters": json.dumps({"temperature": 1, name: 2})}
    turn, [call] = calls(model(ASKED, attributes=answers | asked_for))
    assert (call.choices, len(call.output), turn.output.text) == (2, 2, "In Graz.")


def test_a_routers_model_calls_stay_several_and_count_once():
    router = model(ASKED, says="In Graz.", took=9, attributes={**COUNTS, "llm.cost.total": 9.0})
    inner = [
        model(ASKED, parent=router, at=at, attributes={**MORE, "llm.cost.total": 0.5})
        for at in (1, 3)
    ]
    turn, found = calls(router, *inner)
    assert len(found) == 3
    assert turn.tokens == Tokens(12, 4, 16)
    assert turn.cost == 1.0


def test_a_retrieval_is_one_call_with_its_documents():
    documents = {
        "retrieval.documents.0.document.content": "Wheels are handed over.",
        "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.score": 0.5,
        "retrieval.documents.0.document.metadata": '{"file": "delivery.md"}',
    }
    kind = {"openinference.span.kind": "RETRIEVER"}
    engine = chain("Engine.query", "Where?", "In Graz.", scope=LLAMA_INDEX, took=9)
    outer = span(
        "Retriever.retrieve",
        engine,
        scope=LLAMA_INDEX,
        attributes={**kind, "input.value": "Where?", **documents},
    )
    inner = span("Retriever._retrieve", outer, scope=LLAMA_INDEX, attributes=kind)
    embedded = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "small",
        "embedding.embeddings.0.embedding.text": "Where?",
        "llm.token_count.prompt": 3,
    }
    turn, found = calls(engine, outer, inner, span("embed", inner, attributes=embedded))
    assert [(it.kind, it.name, it.arguments) for it in found] == [
        ("retrieval", "Retriever.retrieve", "Where?"),
        ("embedding", "embed", "Where?"),
    ]
    document = Document("Wheels are handed over.", "d1", 0.5, '{"file": "delivery.md"}')
    assert found[0].documents == (document,)
    assert (found[1].model, found[1].tokens.prompt, turn.tokens.prompt) == ("small", 3, None)


@pytest.mark.parametrize(
    ("given", "returned", "arguments", "result"),
    [
        ("word", '{"type": "tool", "data": {"content": "sunny"}}', "word", "sunny"),
        ('{"kwargs": {"city": "word"}}', '"sunny"', '{"city": "word"}', "sunny"),
        ('{"city": "word"}', "sunny", '{"city": "word"}', "sunny"),
        ("{'city': 'word'}", '{"sky": "blue"}', "{'city': 'word'}", '{"sky": "blue"}'),
    ],
    ids=["langchain", "dspy", "llamaindex", "others"],
)
def test_a_tool_has_its_arguments_and_its_result(given, returned, arguments, result):
    attributes = {
        "openinference.span.kind": "TOOL",
        "tool.name": "weather",
        "input.value": given,
        "output.value": returned,
    }
    turn, [call] = calls(span("FunctionTool.call", attributes=attributes))
    assert (call.name, call.arguments, call.result) == ("weather", arguments, result)
    assert (turn.tools, turn.spoken) == (("weather",), False)


def test_the_error_of_a_turn_is_the_innermost_first_one():
    root = span("POST /chat", took=9, error="chat failed")
    outer = model(ASKED, parent=root, at=1, took=5, error="no answer")
    http = span("POST", outer, at=2, error="connection refused")
    later = span("POST", root, at=7, error="not logged")
    turn, [call] = calls(root, outer, http, later)
    assert (turn.error, turn.errors) == ("ValueError: connection refused", 4)
    assert call.error == "ValueError: no answer"


def test_an_error_without_an_exception_is_its_status_without_the_traceback():
    said = "TimeoutError('late')Traceback (most recent call last):\n  File …"
    failed = replace(model(ASKED), status=2, status_message=said)
    assert calls(failed)[0].error == "TimeoutError('late')"
    assert calls(replace(failed, status_message=""))[0].error == "failed"
    assert calls(replace(failed, status=1))[0].error == ""


def test_tags_and_metadata_of_the_outermost_span_that_has_them():
    root = span("chat", tag__tags=["a", "b"], metadata='{"shop": "Vienna"}')
    turn, _ = calls(root, model(ASKED, parent=root, attributes={"tag.tags": '["b", "c"]'}))
    assert (turn.tags, turn.metadata) == (("a", "b", "c"), {"shop": "Vienna"})


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("openinference.instrumentation.llama_index", "llamaindex"),
        ("openinference.instrumentation.mistralai", "mistral"),
        ("@arizeai/openinference-instrumentation-openai", "openai"),
        ("opentelemetry.instrumentation.openai_v2", "openai"),
        ("ai", "vercel"),
        ("shop", ""),
    ],
)
def test_frameworks_have_clews_names(scope, name):
    assert calls(model(ASKED, scope=scope))[1][0].framework == name
