"""The encoder of clew's makes of any spans what the SDK's makes of them."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from clew.export import fast_encoding
from clew.export.fast_encoding import encode_spans_faster, encoded
from clew.patching.undo import UndoStack

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
simple = st.booleans() | texts | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = st.recursive(
    simple | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
attributes = st.none() | st.dictionaries(texts, values, max_size=4)
times = st.none() | st.integers(0, 2**64 - 1)
states = st.none() | st.just(TraceState([("a", "1"), ("b", "2")]))
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    trace_state=states,
)
statuses = st.builds(Status, st.just(StatusCode.ERROR), st.none() | texts) | st.sampled_from(
    [Status(), Status(StatusCode.OK)]
)
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.sampled_from(
        [Resource({}), Resource({"a": 1}), Resource({"a": 1}), Resource({"b": ("x",)}, "https://s")]
    ),
    attributes=attributes,
    events=st.lists(st.builds(Event, texts, attributes, st.integers(0, 2**63)), max_size=2),
    links=st.lists(st.builds(Link, contexts, attributes), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_time=times,
    end_time=times,
    instrumentation_scope=st.sampled_from(
        [
            None,
            InstrumentationScope("a"),
            InstrumentationScope("a", "1", "https://s", {"k": "v"}),
            InstrumentationScope("b", ""),
        ]
    ),
)


@pytest.fixture
def encode():
    """The exporter's function while clew's encoder is used."""
    undo = UndoStack("undoing the encoder")
    encode_spans_faster(undo)
    yield lambda *these: trace_exporter.encode_spans(these)
    undo.undo()
    assert trace_exporter.encode_spans is encode_spans


def a_span(**attributes):
    return ReadableSpan("a", SpanContext(1, 2, is_remote=False), attributes=attributes)


@given(st.lists(spans, max_size=5))
def test_it_encodes_any_spans_as_the_sdk(some):
    ours, upstreams = encoded(some), encode_spans(some)
    assert ours == upstreams
    assert ours.SerializePartialToString() == upstreams.SerializePartialToString()


class Computing(ReadableSpan):
    """A span whose resource is made whenever it is asked for."""

    @property
    def resource(self):
        return Resource({"service.name": self.name})


def test_resources_that_are_gone_are_not_mistaken_for_others():
    spans = [Computing(name, SpanContext(1, 2, is_remote=False)) for name in "ABABBAAB"]
    assert encoded(spans) == encode_spans(spans)


@pytest.mark.parametrize("value", ["\ud800", 2**64, object(), None, ["a", None], {"a": None}])
def test_what_cannot_be_encoded_is_what_the_sdk_makes_of_it(encode, caplog, value):
    encode(a_span(b=1))
    with caplog.at_level(logging.CRITICAL):
        assert encode(a_span(a=value, b=1)) == encode_spans([a_span(a=value, b=1)])
    with pytest.raises(Exception, match=r".+"):
        encoded([a_span(a=value)])


def test_it_is_used_once_the_first_spans_were_encoded_equally(encode, monkeypatch):
    used = []
    monkeypatch.setattr(
        fast_encoding, "encoded", lambda these: used.append(these) or encoded(these)
    )
    for number in range(3):
        assert encode(a_span(a=number)) == encode_spans([a_span(a=number)])
    assert len(used) == 4  # The first ones twice: to compare, and to send.


def test_an_sdk_that_encodes_otherwise_is_left_alone(encode, monkeypatch):
    monkeypatch.setattr(fast_encoding, "encoded", lambda _: encoded([a_span(lost=1)]))
    for number in range(2):
        assert encode(a_span(a=number)) == encode_spans([a_span(a=number)])
