"""Values from outside never raise: usable ones land, the others are dropped and counted."""

from contextlib import contextmanager
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from uuid import UUID

import pytest
import wrapt
from hypothesis import example, given
from hypothesis import strategies as st
from openinference import instrumentation as upstream
from opentelemetry import context as otel
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, set_span_in_context

from clew import current, using_session
from clew.context import ids
from clew.core import counters

DROPPED = "ids from outside that cannot be used"
anything = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=300),
    st.binary(),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.uuids(),
    st.decimals(),
    st.lists(st.text(), max_size=2),
    st.dictionaries(st.text(), st.text(), max_size=2),
)


class Row(IntEnum):
    FIRST = 7


class Unspeakable(int):
    def __str__(self):
        raise RuntimeError


@contextmanager
def by_context(key, value):
    token = otel.attach(otel.set_value(key, value))
    try:
        yield
    finally:
        otel.detach(token)


def upstream_session(value):
    return upstream.using_session(value)


def upstream_user(value):
    return upstream.using_user(value)


def context_session(value):
    return by_context("session.id", value)


def context_user(value):
    return by_context("user.id", value)


WAYS = [
    (upstream_session, "session.id"),
    (upstream_user, "user.id"),
    (context_session, "session.id"),
    (context_user, "user.id"),
]
each_way = pytest.mark.parametrize(("enter", "attribute"), WAYS)


@each_way
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
@given(value=anything)
@example(value="\ud800")
@example(value=Decimal("sNaN"))
def test_no_value_raises_when_a_span_starts(
    telemetry, on_the_wire, enter, attribute, tracer, value
):
    telemetry.exporter.clear()
    with enter(value):
        getattr(telemetry, tracer).start_span("span").end()
    landed = telemetry.last().get(attribute)
    if landed is not None:
        assert type(landed) is str
        assert landed == str(value).strip()
        assert 0 < len(landed) <= 256
        assert landed.encode() in on_the_wire(*telemetry.spans())


@each_way
@given(value=anything)
@example(value=10**5000)
@example(value=Decimal("sNaN"))
def test_no_value_raises_on_a_tracer_that_clew_did_not_make(telemetry, enter, attribute, value):
    del attribute
    with enter(value), using_session("chat-42", user_id="ada"):
        telemetry.stranger.start_span("span").end()
    assert telemetry.ids() == ("chat-42", "ada")


@each_way
@pytest.mark.parametrize(
    ("value", "landed"),
    [
        ("chat-42", "chat-42"),
        ("  chat-42\n", "chat-42"),
        (42, "42"),
        (-1, "-1"),
        (Row.FIRST, "7"),
        (UUID(int=42), "00000000-0000-0000-0000-00000000002a"),
    ],
)
def test_usable_ones_land(telemetry, enter, attribute, value, landed):
    before = counters.counted().get(DROPPED, 0)
    with enter(value):
        telemetry.probe()
    assert telemetry.last() == {attribute: landed}
    assert counters.counted().get(DROPPED, 0) == before


UNUSABLE = pytest.mark.parametrize(
    "value",
    [
        b"chat-42",
        True,
        1.5,
        Decimal(1),
        ["chat-42"],
        {"a": 1},
        object(),
        "a\nb",
        "a\x00b",
        "\ud83e",
        "a\u2028b",
        "x" * 257,
        "x" * 10_000_000,
        10**300,
        10**5000,
        Unspeakable(1),
    ],
    ids=lambda value: type(value).__name__,
)


@each_way
@UNUSABLE
def test_unusable_ones_do_not_reach_the_spans_of_an_instrumentor(
    telemetry, enter, attribute, value
):
    with enter(value):
        telemetry.instrumentor.start_span("span").end()
    assert attribute not in telemetry.last()


@each_way
@UNUSABLE
def test_unusable_ones_are_dropped_and_counted(telemetry, enter, attribute, value):
    before = counters.counted().get(DROPPED, 0)
    with enter(value):
        telemetry.probe()
    assert attribute not in telemetry.last()
    assert counters.counted()[DROPPED] == before + 1


@each_way
@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
@pytest.mark.parametrize("value", ["a\nb", ["chat-42"]], ids=["text", "list"])
def test_each_span_with_an_unusable_one_counts(telemetry, enter, attribute, tracer, value):
    before = counters.counted().get(DROPPED, 0)
    with enter(value):
        for _ in range(50):
            getattr(telemetry, tracer).start_span("span").end()
            current()
    assert attribute not in telemetry.last()
    assert counters.counted()[DROPPED] == before + 50


class StrangersSpan(NonRecordingSpan):
    attributes = MappingProxyType({"user.id": "a\nb"})


def test_one_in_the_context_and_one_of_the_parent_are_both_counted(telemetry):
    before = counters.counted().get(DROPPED, 0)
    with context_session("a\nb"):
        parent = set_span_in_context(StrangersSpan(INVALID_SPAN_CONTEXT))
        assert telemetry.probe(context=parent) == (None, None)
    assert counters.counted()[DROPPED] == before + 2


@pytest.mark.parametrize(("value", "dropped"), [("thread-1", 0), ("a\nb", 1)])
def test_only_an_unusable_one_that_an_instrumentor_sets_is_counted(
    telemetry, as_instrumentor, value, dropped
):
    before = counters.counted().get(DROPPED, 0)
    with telemetry.instrumentor.start_as_current_span("span") as span:
        as_instrumentor(span.set_attribute, "session.id", value)
    assert telemetry.ids() == (None if dropped else value, None)
    assert counters.counted().get(DROPPED, 0) == before + dropped


@pytest.mark.parametrize("enter", [context_session, context_user])
@pytest.mark.parametrize("value", ["", "  "])
def test_blank_ones_are_dropped(telemetry, enter, value):
    with enter(value):
        telemetry.probe()
    assert telemetry.last() == {}


@pytest.mark.parametrize("enter", [context_session, upstream_session])
def test_a_proxy_of_a_string_lands_as_the_string(telemetry, enter):
    # werkzeug's LocalProxy and Django's SimpleLazyObject say that they are what they stand for.
    with enter(wrapt.ObjectProxy("chat-42")):
        assert telemetry.probe() == ("chat-42", None)
    assert type(telemetry.ids()[0]) is str


def test_a_proxy_of_a_string_is_taken_in_the_applications_own_call(telemetry):
    with using_session(wrapt.ObjectProxy("chat-42")):
        assert telemetry.probe() == ("chat-42", None)
    assert type(telemetry.ids()[0]) is str


def test_a_bad_session_costs_neither_the_user_nor_the_tags(telemetry):
    with upstream.using_attributes(session_id=10**5000, user_id="ada", tags=["t"]):
        telemetry.probe()
    assert telemetry.last() == {"user.id": "ada", "tag.tags": ("t",)}


def test_another_attribute_that_is_no_text_lands_as_it_is(telemetry):
    with by_context("llm.prompt_template.version", 3):
        telemetry.probe()
    assert telemetry.last() == {"llm.prompt_template.version": 3}


def test_current_drops_what_a_span_would_drop():
    with context_session(b"raw"), context_user(42):
        assert current().session_id is None
        assert current().user_id == "42"


@pytest.mark.parametrize(
    "block",
    [
        upstream.using_metadata({"a": "\ud800"}),
        upstream.using_tags(["\ud800"]),
        upstream.using_prompt_template(template="\ud800", version="\ud800"),
        upstream.using_prompt_template(template="a", variables={"a": "\ud800"}),
    ],
    ids=["metadata", "tags", "template", "variables"],
)
def test_half_characters_of_the_others_do_not_spoil_the_export(telemetry, on_the_wire, block):
    with block, using_session("chat-42"):
        telemetry.probe()
    assert b"chat-42" in on_the_wire(*telemetry.spans())


@pytest.mark.parametrize("given", ["a", " a", "a ", " a\t"])
def test_space_around_one_is_no_part_of_it(given):
    assert ids.usable_id(given) == "a"
