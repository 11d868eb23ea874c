"""Whatever is in the spans of a trace, its turns are found, and in linear time."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.sessions import llama_index_text, message_rules, rules, whole_turn_rules
from clew.sessions.model import Message, Turn
from clew.sessions.words import turns_of
from clew.store.record import Event, Scope, SpanRecord
from tests.support.session_totals import session_of
from tests.unit.sessions.making import chain, model, span

KEYS = sorted(
    {
        *rules.KINDS,
        *(*rules.SESSION, *rules.USER, *rules.MODEL, *rules.PROVIDER, *rules.NAME, *rules.COST),
        *(key for keys in rules.TOKENS.values() for key in keys),
        *(*rules.FIRST_TOKEN_SECONDS, *rules.FIRST_TOKEN_MILLISECONDS, message_rules.INSTRUCTIONS),
        *(*whole_turn_rules.GIVEN, *whole_turn_rules.CAME_BACK, *rules.ARGUMENTS, *rules.RESULT),
        *(rule.key for rule in (*message_rules.SENT, *message_rules.RETURNED)),
        *("metadata", "tag.tags", "llm.prompts", "error.type"),
        *("retrieval.documents.0.document.score", "embedding.embeddings.0.embedding.text"),
    }
)
RESTS = [
    *("", ".", "0", "0.", "7.message.role", "00.message.content", "x.message.content", "-1.x"),
    *("1.message.contents.0.message_content.type", "1.message.contents.0.message_content.text"),
    *(
        "1.message.contents.1.message_content.image.image.url",
        "1.message.tool_calls.0.tool_call.id",
    ),
    *("1.message.tool_calls.0.tool_call.function.name", "99999999999.message.role"),
]
KINDS = sorted({name for names in rules.KINDS.values() for name in names})
ROLES = ["user", "assistant", "tool", "human", "ai", "function_call", "tool_result", "image_url"]
WORDS = st.sampled_from(
    [
        *KINDS,
        *ROLES,
        "",
        "Where?",
        "[",
        "{}",
        "[[]]",
        '{"a"',
        "null",
        "ChatMessage(role=<M",
        "\ud800",
    ]
)
NAMES = st.sampled_from(
    [
        *("role", "content", "type", "text", "parts", "data", "lc", "kwargs", "id", "messages"),
        *("toolUse", "toolResult", "tool_calls", "function", "source", "image_url", "output"),
        *("question", "answer", "choices", "message", "input", "arguments", "name", "summary"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
VALUES = WORDS | JSON | JSON.map(json.dumps) | st.binary(max_size=3)


def shown(value):
    return json.dumps(value, default=str)


ATTRIBUTES = st.dictionaries(
    st.sampled_from(KEYS) | st.builds(lambda key, rest: key + rest, st.sampled_from(KEYS),
                                      st.sampled_from(RESTS)),
    VALUES,
    max_size=12,
)  # fmt: skip
IDS = st.integers(0, 5).map(lambda it: it.to_bytes(8, "big"))
TIMES = st.integers(-(2**63), 2**63 - 1)
EVENTS = st.builds(
    Event, st.sampled_from(["exception", *rules.FIRST_TOKEN_EVENTS]), TIMES, ATTRIBUTES
)
SPANS = st.builds(
    SpanRecord,
    trace_id=st.just(bytes(16)),
    span_id=IDS,
    parent_id=st.none() | IDS,
    name=WORDS,
    start=TIMES,
    end=TIMES,
    attributes=ATTRIBUTES,
    kind=st.integers(-1, 7),
    status=st.integers(-1, 3),
    status_message=WORDS,
    events=st.lists(EVENTS, max_size=2).map(tuple),
    scope=st.sampled_from(["", "ai", "openinference.instrumentation.dspy"]).map(Scope),
)


LIKE_A_MESSAGE = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {}, optional={"role": WORDS | inner, "content": inner, "type": WORDS | inner}
        )
        | st.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=8,
)
TOLD = ("input.value", "output.value", "gen_ai.input.messages", "gen_ai.output.messages")
SPOKEN = st.fixed_dictionaries(
    {"openinference.span.kind": st.sampled_from(["LLM", "CHAIN", "AGENT", "TOOL", "RETRIEVER"])},
    optional={key: LIKE_A_MESSAGE | LIKE_A_MESSAGE.map(shown) for key in (*TOLD, "metadata")},
)


def is_storable(text):
    return isinstance(text, str) and text.encode() is not None


@settings(max_examples=200)
@given(SPOKEN, SPOKEN, WORDS)
def test_any_json_has_words(outer, inner, name):
    root = span(name, attributes=outer, took=9)
    test_any_spans_have_turns.hypothesis.inner_test([root, span(name, root, attributes=inner)])


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(SPANS, max_size=8))
def test_any_spans_have_turns(spans):
    turns = turns_of(spans)
    assert all(isinstance(it, Turn) for it in turns)
    assert sum(it.spans for it in turns) <= len(spans)
    for turn in turns:
        assert turn.end >= turn.start
        said = (turn.input, turn.output, *(it for call in turn.calls for it in call.input))
        for message in said:
            assert all(map(is_storable, (message.role, message.text, message.reasoning)))
            assert all(is_storable(it.name + it.arguments) for it in message.tool_requests)
        for call in turn.calls:
            assert all(map(is_storable, (call.name, call.arguments, call.result, call.error)))
        assert all(map(is_storable, (turn.session_id, turn.user_id, turn.error)))
        assert all(map(is_storable, (*turn.models, *turn.tools, *turn.tags)))
    if turns:
        session_of(turns)


@pytest.mark.slow
@given(st.lists(SPANS, max_size=6))
def test_spans_in_a_circle_are_all_there(spans):
    distinct = list({it.span_id: it for it in spans}.values())
    everywhere = [it for it in distinct if it.attributes.get("openinference.span.kind") == "LLM"]
    found = [call.span_id for turn in turns_of(distinct) for call in turn.calls]
    assert len(found) == len(set(found))
    assert len(everywhere) == 0 or found


def test_a_circle_of_parents_is_cut():
    first, second = span("a"), model(("user", "Where?"), says="Here.")
    circle = [
        SpanRecord(**{**_fields(first), "parent_id": second.span_id}),
        SpanRecord(**{**_fields(second), "parent_id": first.span_id}),
    ]
    [turn] = turns_of(circle)
    assert (turn.spans, turn.output.text) == (2, "Here.")
    own = SpanRecord(**{**_fields(second), "parent_id": second.span_id})
    assert turns_of([own])[0].output.text == "Here."


def _fields(record):
    return {name: getattr(record, name) for name in SpanRecord.__slots__}


def test_json_that_is_deeply_nested():
    deep = "[" * 100_000 + "]" * 100_000  # Python does not read it as JSON.
    root = chain("chain", deep, deep, took=9)
    [turn] = turns_of([root, model(("user", "Where?"), says="Here.", parent=root)])
    assert turn.calls[0].input[0].text == "Where?"
    nested = json.dumps(_nested(100))
    kind = {"openinference.span.kind": "LLM", "input.value": nested, "output.value": nested}
    assert len(turns_of([span("call", attributes=kind)])) == 1


def _nested(depth):
    value = "Where?"
    for _ in range(depth):
        value = {"role": "user", "content": [value]}
    return {"messages": [value]}


def seconds_for(spans):
    times = []
    for _ in range(3):
        begun = time.process_time()
        turns_of(spans)
        times.append(time.process_time() - begun)
    return min(times)


def agent(calls):
    root = chain("agent", "Where?", "Here.", kind="AGENT", took=calls * 2)
    spans = [root]
    for number in range(calls):
        step = chain("step", None, None, parent=root, at=number * 2)
        spans += [step, model(("user", "Where?"), says="Here.", parent=step, at=number * 2)]
    return spans


def chat(calls):
    root = span("main", took=calls * 2)
    before = ("user", "Hi"), ("assistant", "Hello.")
    return [
        root,
        *(
            model(*before, ("user", f"Q{it}"), says="Hello.", parent=root, at=it * 2)
            for it in range(calls)
        ),
    ]


def ladder(calls):
    """Each call inside the one before."""
    spans = [model(("user", "Where?"), says="Here.", took=9)]
    for _ in range(calls):
        spans.append(model(("user", "Where?"), says="Here.", parent=spans[-1], took=9))
    return spans


def crowd(calls):
    """All calls at the same time."""
    root = span("main", took=99)
    return [
        root,
        *(model(("user", f"Q{it}"), says="A", parent=root, took=9) for it in range(calls)),
    ]


@pytest.mark.slow
def test_ten_times_as_many_calls_take_about_ten_times_as_long():
    for make in (agent, chat, ladder, crowd):
        few, many = seconds_for(make(200)), seconds_for(make(2000))
        assert many < few * 25, make.__name__
        assert turns_of(make(1000))


def test_what_only_looks_like_a_message_of_llama_index_is_no_error():
    shown = (
        "ChatMessage(role=<MessageRole.USER: 'user'>, blocks=[TextBlock(block_type='text', text='"
    )
    assert llama_index_text.message(shown + "hello')])") == Message("user", "hello")
    assert llama_index_text.message(shown + "\\x')])") is None
