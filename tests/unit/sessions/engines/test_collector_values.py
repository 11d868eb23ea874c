"""What was text, a number or a list is it again after the Collector has made text of all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.sessions.carriers import carried_by
from clew.sessions.engines.collector_values import attributes_of_text, read_array, read_object
from clew.sessions.words import turns_of
from clew.spans import evaluation_attributes as wire
from clew.store.columns import COLUMNS, split
from clew.store.record import Event, Link, SpanRecord
from tests.support.broken_conversations import CALM, conversation
from tests.support.conversation_spans import START, turn
from tests.support.conversations import Conversations
from tests.support.hostile_spans import ATTACKS, hostile_session
from tests.support.shop_conversations import shop_sessions
from tests.support.traces import by_trace
from tests.unit.sessions.conversations import records
from tests.unit.sessions.engines.through_collector import through_text

BUILT = {
    "conversations": [it for seed in (1, 2) for it in Conversations(seed=seed).sessions(30)],
    "broken": [*conversation(), *conversation(session="calm", talk=CALM)],
    "shop": list(shop_sessions(START)),
    "hostile": [hostile_session(number) for number in range(len(ATTACKS))],
    "single": [
        turn(found=("a document", "another")),
        turn(session="", user=None, cost=None),
        turn(error="it broke", asked="12", answered="true"),
        turn(asked="[1, 2]", answered="1e3", tool=False),
    ],
}


@pytest.mark.parametrize("name", BUILT)
def test_turns_are_the_same(name):
    for spans in BUILT[name]:
        for trace in by_trace(spans):
            found = turns_of([through_text(it) for it in trace])
            assert found
            assert found == turns_of(trace)


@given(st.lists(records(), min_size=1, max_size=6))
def test_generated_turns_are_the_same(spans):
    assert turns_of([through_text(it) for it in spans]) == turns_of(spans)


@given(st.lists(records(), min_size=1, max_size=6))
def test_columns_are_the_same(spans):
    for span in spans:
        assert split(through_text(span).attributes)[0] == split(span.attributes)[0]


SCORES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
TEXTS = st.sampled_from(["12", "true", "[1]", "good", "1.0", "-1e-7"])


@given(st.sampled_from(list(wire.PREFIXES)), SCORES | st.none(), TEXTS | st.none(), TEXTS)
def test_evaluations_are_the_same(scope, score, label, name):
    result = wire.Result(name, score, label, "12", version="3")
    linked = Link(bytes(15) + b"\2", bytes(7) + b"\3", {wire.TURN_ROOT: "0000000000000012"})
    span = SpanRecord(
        trace_id=bytes(15) + b"\1",
        span_id=bytes(7) + b"\1",
        parent_id=None,
        name="says",
        start=START,
        end=START,
        attributes={
            wire.KIND: wire.CARRIER_KIND,
            "session.id": "42",
            wire.LATE: True,
            **result.attributes(scope),
        },
        events=(Event(wire.EVENT, START, result.event() or {}),),
        links=(linked,),
    )
    back = through_text(span)
    found, unusable = carried_by(span)
    assert found
    assert not unusable
    assert carried_by(back) == (found, 0)
    assert back.attributes[wire.LATE] is True


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_come_back(number):
    assert _back("llm.token_count.prompt", number) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(number):
    found = _back("llm.cost.total", number)
    assert type(found) is float
    assert (found, str(found)) == (number, str(number))


@pytest.mark.parametrize("text", ["12", "-1", "1.5", "true", "[1]", '{"a":1}', "", "null", "1e5"])
@pytest.mark.parametrize("name", ["input.value", "session.id", "user.id", "metadata", "anything"])
def test_text_stays_text(name, text):
    assert _back(name, text) == text


@pytest.mark.parametrize("text", ["012", "+1", " 1", "1_000", "\u0661", "0x1", "nan", "many", ""])
def test_what_the_collector_does_not_write_for_a_number_stays_text(text):
    assert attributes_of_text({"llm.token_count.total": text})["llm.token_count.total"] == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tag.tags", ("a", "12")),
        ("gen_ai.response.finish_reasons", ("stop",)),
        ("embedding.embeddings.0.embedding.vector", (0.25, -1.0, 3e-8)),
        ("llm.is_streaming", True),
        ("retrieval.documents.0.document.score", 0.75),
        ("session.evaluations.1.evaluation.score", 1.0),
        ("gen_ai.usage.input_tokens", 7),
    ],
)
def test_a_name_says_what_its_value_is(name, value):
    assert _back(name, value) == value


def test_every_number_that_has_a_column_comes_back():
    for column in COLUMNS:
        for name in (column.attribute, *column.others):
            value = {int: 3, float: 2.0, str: "2"}[column.type]
            found = _back(name, value)
            assert (found, type(found)) == (value, column.type)


def test_names_that_a_json_column_has_taken_apart_are_whole_again():
    text = '{"a":1,"a":{"b":2.5,"c":{"d":"x"}},"list":[{"e":1}],"llm":{"cost":{"total":2}}}'
    found = attributes_of_text(read_object(text))
    expected = {"a": 1, "a.b": 2.5, "a.c.d": "x", "list": ({"e": 1},), "llm.cost.total": 2.0}
    assert found == expected
    assert type(found["llm.cost.total"]) is float
    assert read_array('[["n",5,{"exception":{"type":"E"}}]]') == [["n", 5, {"exception.type": "E"}]]


OTLP = [
    ('{"values":[{"stringValue":"a"},{"stringValue":"12"}]}', ("a", "12")),
    ('{"values":[{"intValue":"12"},{"doubleValue":1e21},{"boolValue":true}]}', (12, 1e21, True)),
    ('{"values":[{"arrayValue":{"values":[{"intValue":"1"}]}},{}]}', ((1,), None)),
    ('{"values":[]}', ()),
]


@pytest.mark.parametrize(("text", "value"), OTLP)
@pytest.mark.parametrize("name", ["tag.tags", "embedding.embeddings.0.embedding.vector"])
def test_lists_as_rotel_writes_them(name, text, value):
    assert attributes_of_text({name: text}) == {name: value}
    assert attributes_of_text({"input.value": text}) == {"input.value": text}


def test_messages_that_are_no_text_as_rotel_writes_them():
    said = {"role": "user", "parts": ({"type": "text", "content": "12"},)}
    part = _otlp_object(type='{"stringValue":"text"}', content='{"stringValue":"12"}')
    parts = f'{{"arrayValue":{{"values":[{part}]}}}}'
    message = _otlp_object(role='{"stringValue":"user"}', parts=parts)
    text = f'{{"values":[{message}]}}'
    names = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
    for name in names:
        assert attributes_of_text({name: text}) == {name: (said,)}
        plain = json.dumps([said])
        assert attributes_of_text({name: plain}) == {name: plain}


def _otlp_object(**values):
    pairs = ",".join(f'{{"key":"{key}","value":{value}}}' for key, value in values.items())
    return f'{{"kvlistValue":{{"values":[{pairs}]}}}}'


@pytest.mark.parametrize("text", ['{"values":[', '{"values":[1]}', '{"values":[{"intValue":"x"}]}'])
def test_what_only_begins_like_such_a_list_stays_text(text):
    assert attributes_of_text({"tag.tags": text}) == {"tag.tags": text}


@pytest.mark.parametrize(("text", "number"), [("1e16", 1e16), ("1e-7", 1e-7), ("12.0", 12.0)])
def test_numbers_as_rust_writes_them(text, number):
    assert attributes_of_text({"llm.cost.total": text}) == {"llm.cost.total": number}


def _back(name, value):
    (span,) = [
        through_text(
            SpanRecord(bytes(16), bytes(8), None, "x", 0, 0, attributes={name: value}),
        )
    ]
    assert json.dumps(dict(span.attributes))
    return span.attributes[name]
