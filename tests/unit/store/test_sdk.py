"""A span of the SDK becomes the record that OpenTelemetry's own OTLP encoder makes of it."""

import gc
import json
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum, IntEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from clew.context.pseudonyms import Pseudonym
from clew.store import sdk
from clew.store.columns import split
from clew.store.encoding import attributes_to_json, untagged
from clew.store.otlp import from_json, from_protobuf, records_of, to_json, to_protobuf
from clew.store.record import Scope
from clew.store.sdk import record_of
from tests.support.span_records import TEXTS, TIMES, VALUES

NAMES = TEXTS.filter(bool)
# Older SDKs accept fewer types of values; what they refuse they log.
ATTRIBUTES = st.dictionaries(NAMES, TEXTS | st.booleans() | st.integers(-9, 9) | st.floats())
STATES = st.sampled_from([None, TraceState([("a", "1"), ("b", "2")])])
CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 1).map(TraceFlags),
    trace_state=STATES,
)
LINKS = st.builds(Link, CONTEXTS, ATTRIBUTES)
LIMITS = st.builds(
    SpanLimits,
    max_span_attributes=st.sampled_from([1, 100]),
    max_events=st.sampled_from([1, 100]),
    max_links=st.sampled_from([1, 100]),
    max_event_attributes=st.sampled_from([1, 100]),
    max_link_attributes=st.sampled_from([1, 100]),
)
STATUSES = st.sampled_from(
    [
        Status(),
        Status(StatusCode.OK),
        Status(StatusCode.ERROR, "broken"),
        Status(StatusCode.ERROR),
    ]
)


SPANS = st.fixed_dictionaries(
    {
        "resource": st.builds(Resource, ATTRIBUTES, TEXTS),
        "limits": LIMITS,
        "scope": st.fixed_dictionaries(
            {
                "instrumenting_module_name": NAMES,
                "instrumenting_library_version": st.none() | TEXTS,
                "schema_url": TEXTS,
                "attributes": ATTRIBUTES,
            }
        ),
        "parent": st.none() | CONTEXTS,
        "given": st.fixed_dictionaries(
            {
                "name": TEXTS,
                "kind": st.sampled_from(SpanKind),
                "attributes": ATTRIBUTES,
                "links": st.lists(LINKS, max_size=3),
                "start_time": TIMES,
            }
        ),
        "events": st.lists(st.tuples(NAMES, ATTRIBUTES, TIMES), max_size=3),
        "status": STATUSES,
        "end": TIMES,
    }
)


def made(span):
    """A *span* that a real tracer has made, and that has ended."""
    provider = TracerProvider(
        ALWAYS_ON, span["resource"], shutdown_on_exit=False, span_limits=span["limits"]
    )
    parent = span["parent"]
    context = set_span_in_context(NonRecordingSpan(parent)) if parent else Context()
    made = provider.get_tracer(**span["scope"]).start_span(context=context, **span["given"])
    for event in span["events"]:
        made.add_event(*event)
    made.set_status(span["status"])
    made.end(span["end"])
    return made


def encoded(span):
    """What OpenTelemetry's encoder makes of *span*, with what it leaves out."""
    (record,) = records_of(encode_spans([span]))
    links = [
        replace(
            link,
            flags=link.flags | given.context.trace_flags,
            trace_state=given.context.trace_state.to_header(),
        )
        for link, given in zip(record.links, span.links, strict=True)
    ]
    flags = record.flags | span.context.trace_flags
    return replace(record, links=tuple(links), flags=flags)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SPANS)
def test_it_equals_what_opentelemetry_would_send(described):
    span = made(described)
    assert repr(record_of(span)) == repr(encoded(span))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_every_type_of_value_stays(attributes):
    span = ReadableSpan("s", SpanContext(1, 2, is_remote=False), attributes=attributes)
    assert repr(record_of(span).attributes) == repr(attributes)


def test_what_is_not_set_is_empty():
    record = record_of(ReadableSpan("s", SpanContext(1, 2, is_remote=False)))
    assert (record.start, record.end, record.attributes, record.parent_id) == (0, 0, {}, None)
    assert record.scope == Scope()
    assert record.flags == 0x100


@pytest.mark.parametrize("write", [to_protobuf, to_json])
def test_what_an_application_gives_by_mistake_breaks_no_export(write):
    """The SDK checks neither names nor times, and OpenTelemetry's encoder fails for all spans."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("careless")
    span = tracer.start_span(None, start_time=1.5e18)
    span.add_event(None, timestamp=-5)
    span.set_attribute("half", "\ud800")
    span.end(-1)
    record = record_of(span)
    assert (record.name, record.start, record.end) == ("None", 1500000000000000000, -1)
    (sent,) = {to_protobuf: from_protobuf, to_json: from_json}[write](write([record]))
    assert (sent.name, sent.start, sent.end) == ("None", record.start, 0)
    assert sent.attributes == {"half": "?"}
    assert [(it.name, it.time) for it in sent.events] == [("None", 0)]


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ({"start_time": datetime.now(UTC)}, 9, 9),
        ({"start_time": float("nan")}, 9, 9),
        ({"start_time": float("inf")}, 9, 9),
        ({"start_time": -(2**70)}, 9, 9),
        ({"end_time": "now"}, 5, 5),
        ({"end_time": 2**70}, 5, 5),
        ({"start_time": "then", "end_time": "now"}, 0, 0),
        ({"end_time": 2**63 - 1}, 5, 2**63 - 1),
        ({"end_time": 2**63}, 5, 5),
        ({"start_time": 2**63, "end_time": 2**63 + 5}, 0, 0),
        ({"start_time": None, "end_time": None}, 0, 0),
    ],
)
def test_a_time_that_is_none_is_the_other_of_the_span(given, start, end):
    times = {"start_time": 5, "end_time": 9, **given}
    record = record_of(ReadableSpan("s", SpanContext(1, 2, is_remote=False), **times))
    assert (record.start, record.end) == (start, end)


def test_the_time_of_an_event_that_is_none_is_the_start_of_its_span():
    events = [Event("e", timestamp=at) for at in (datetime.now(UTC), float("nan"), 7)]
    span = ReadableSpan(
        "s", SpanContext(1, 2, is_remote=False), start_time=5, end_time=9, events=events
    )
    assert [it.time for it in record_of(span).events] == [5, 5, 7]


@pytest.mark.parametrize("kind", [None, "client", 3])
def test_a_kind_or_a_status_that_is_none_is_not_known(kind):
    context, status = SpanContext(1, 2, is_remote=False), Status("ERROR", "broken")
    record = record_of(ReadableSpan("s", context, kind=kind, status=status))
    assert (record.kind, record.status) == (0, 0)


LONG = 10**5000
"""An integer with more digits than Python prints."""


def test_an_integer_that_cannot_be_printed_is_hexadecimal_text():
    given = {"long": LONG, "in": (1, -LONG), "of": {"it": [LONG]}, "nan": float("nan"), "n": 1}
    attributes = untagged(json.loads(attributes_to_json(given)))
    assert repr(attributes) == repr(
        {**given, "long": hex(LONG), "in": (1, hex(-LONG)), "of": {"it": (hex(LONG),)}}
    )
    assert json.loads(attributes_to_json({"long": LONG, "n": 1})) == {"long": hex(LONG), "n": 1}


def test_values_of_types_made_from_plain_ones_are_plain():
    model = Enum("Model", {"SMALL": "gpt-4o-mini"}, type=str)
    given = {
        "user.id": Pseudonym("ada"),
        "llm.model_name": model.SMALL,
        "llm.token_count.prompt": IntEnum("Tokens", {"MANY": 7}).MANY,
        "llm.cost.total": type("Cost", (float,), {})(0.5),
        "tags": (model.SMALL,),
        "is_new": True,
    }
    attributes = record_of(
        ReadableSpan("s", SpanContext(1, 2, is_remote=False), attributes=given)
    ).attributes
    assert [type(it) for it in attributes.values()] == [str, str, int, float, tuple, bool]
    values, rest = split(attributes)
    assert [it for it in values if it is not None] == ["ada", "gpt-4o-mini", 7, 0.5]
    assert json.loads(attributes_to_json(rest)) == {"tags": ["gpt-4o-mini"], "is_new": True}


def test_a_span_without_a_context_is_refused():
    with pytest.raises(ValueError, match="'s' has no context"):
        record_of(ReadableSpan("s"))


def test_the_attributes_are_a_copy():
    given = {"k": 1}
    record = record_of(ReadableSpan("s", SpanContext(1, 2, is_remote=False), attributes=given))
    given["k"] = 2
    assert record.attributes == {"k": 1}


def test_what_spans_share_is_converted_once():
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shared")
    one, other = (record_of(tracer.start_span("s")) for _ in range(2))
    assert one.resource is other.resource
    assert one.scope is other.scope


def test_what_was_shared_is_not_kept_without_end():
    for number in range(3 * sdk._MOST_KNOWN):
        provider = TracerProvider(resource=Resource({"n": number}), shutdown_on_exit=False)
        record = record_of(provider.get_tracer(f"t{number}").start_span("s"))
        assert (record.resource.attributes["n"], record.scope.name) == (number, f"t{number}")
        gc.collect(0)
    assert len(sdk._scopes) <= sdk._MOST_KNOWN
    assert len(sdk._resources) <= sdk._MOST_KNOWN
