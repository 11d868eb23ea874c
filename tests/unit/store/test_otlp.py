"""Spans go through both encodings of OTLP without loss."""

import json
from collections import Counter

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from clew.store.otlp import (
    MalformedError,
    defect,
    from_json,
    from_protobuf,
    records_of,
    request_of,
    to_json,
    to_protobuf,
)
from clew.store.otlp.limits import MAX_DEPTH
from clew.store.record import Event, Link, Resource, Scope, SpanRecord
from tests.support.span_records import RESOURCES, SCOPES, batches, spans

TRACE_ID, SPAN_ID = bytes(range(16)), bytes(range(8))
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record(**fields):
    given = {"parent_id": None, "name": "s", "start": 1, "end": 2, "attributes": {}, **fields}
    return SpanRecord(trace_id=TRACE_ID, span_id=SPAN_ID, **given)


def shown(records):
    """What *records* are. Unlike ==, this tells 1 from True and 1.0, and has NaN equal NaN."""
    return Counter(map(repr, records))


@many
@given(batches())
def test_records_are_the_same_after_protobuf(records):
    assert shown(from_protobuf(to_protobuf(records))) == shown(records)


@many
@given(batches())
def test_records_are_the_same_after_json(records):
    assert shown(from_json(to_json(records))) == shown(records)


@many
@given(st.data(), RESOURCES, SCOPES)
def test_a_request_is_the_same_after_records(data, resource, scope):
    alike = spans(st.just(resource), st.just(scope))
    request = request_of(data.draw(st.lists(alike, min_size=1, max_size=3)))
    again = request_of(records_of(request))
    assert again.SerializeToString(deterministic=True) == request.SerializeToString(
        deterministic=True
    )


@many
@given(batches())
def test_json_is_what_protobuf_makes_of_it_but_for_the_ids(records):
    """Protobuf's own parser reads our JSON as the message that we build, once ids are base64."""
    request = json.loads(to_json(records))
    for of_resource in request["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for owner in (span, *span.get("links", ())):
                    for name in {"traceId", "spanId", "parentSpanId"} & set(owner):
                        owner[name] = base64_of(owner[name])
    parsed = ParseDict(request, ExportTraceServiceRequest())
    assert shown(records_of(parsed)) == shown(records)


def base64_of(hexadecimal):
    from base64 import b64encode

    return b64encode(bytes.fromhex(hexadecimal)).decode()


def test_spans_are_grouped_by_what_they_share():
    one, other = Resource({"n": 1}), Resource({"n": True})
    scope, schema = Scope("a"), Scope("a", schema_url="u")
    request = request_of(
        [
            record(resource=one, scope=scope),
            record(resource=other, scope=scope),
            record(resource=Resource({"n": 1}), scope=schema),
            record(resource=one, scope=Scope("a")),
        ]
    )
    assert [
        [len(of_scope.spans) for of_scope in of_resource.scope_spans]
        for of_resource in request.resource_spans
    ] == [[2, 1], [1]]


@pytest.mark.parametrize("there", [from_protobuf, from_json])
def test_what_otlp_cannot_carry_is_sent_as_text(there):
    write = {from_protobuf: to_protobuf, from_json: to_json}[there]
    odd = {
        "big": 2**70,
        "half": "a\ud800b",
        "half \udfff": 1,
        "list": ["\ud800", 2**64],
        "other": complex(1, 2),
    }
    (got,) = there(write([record(attributes=odd, name="\ud800")]))
    assert got.name == "?"
    assert got.attributes == {
        "big": str(2**70),
        "half": "a?b",
        "half ?": 1,
        "list": ("?", str(2**64)),
        "other": "(1+2j)",
    }


@pytest.mark.parametrize(("write", "read"), [(to_protobuf, from_protobuf), (to_json, from_json)])
def test_what_is_nested_deeper_than_protobuf_allows_is_sent_as_text(write, read):
    def nested(depth):
        value = "x"
        for _ in range(depth):
            value = (value,)
        return value

    def depth_of(value):
        return 1 + depth_of(value[0]) if isinstance(value, tuple) else 0

    events = (Event("e", 1, {"k": nested(MAX_DEPTH)}),)
    (got,) = read(write([record(attributes={"k": nested(MAX_DEPTH)}, events=events)]))
    assert got.attributes == {"k": nested(MAX_DEPTH)}
    assert got.events == events
    (got,) = read(write([record(attributes={"k": nested(60)})]))
    assert depth_of(got.attributes["k"]) == MAX_DEPTH


def test_a_parent_of_zeros_is_none():
    request = request_of([record(parent_id=bytes(8))])
    assert records_of(request)[0].parent_id is None
    assert from_json(to_json([record(parent_id=bytes(8))]))[0].parent_id is None


def test_the_last_of_equal_keys_counts():
    request = request_of([record()])
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for text in ("first", "last"):
        span.attributes.append(KeyValue(key="k", value=AnyValue(string_value=text)))
    assert records_of(request)[0].attributes == {"k": "last"}


# The specification's example of a request, shortened, with what a later version might add.
EXAMPLE = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]
            },
            "scopeSpans": [
                {
                    "scope": {"name": "my.library", "version": "1.0.0", "attributes": []},
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "EEE19B7EC3C1B173",
                            "name": "I'm a server span",
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": 1544712661000000000,
                            "kind": 2,
                            "attributes": [
                                {"key": "text", "value": {"stringValue": "some value"}},
                                {"key": "as text", "value": {"intValue": "-9223372036854775808"}},
                                {"key": "as number", "value": {"intValue": 5}},
                                {"key": "whole", "value": {"intValue": 5.0}},
                                {"key": "nan", "value": {"doubleValue": "NaN"}},
                                {"key": "double", "value": {"doubleValue": 1}},
                                {"key": "url-safe", "value": {"bytesValue": "-_8"}},
                                {"key": "empty", "value": {}},
                                {"key": "absent"},
                                {"key": "null", "value": None},
                                {"key": "later", "value": {"laterValue": 1}},
                                {"key": "none", "value": {"arrayValue": {}}},
                            ],
                            "status": {"code": "STATUS_CODE_ERROR", "message": None},
                            "later": {"unknown": []},
                            "events": None,
                        }
                    ],
                }
            ],
        }
    ],
    "later": 1,
}


def test_the_specifications_example_is_read():
    (got,) = from_json(json.dumps(EXAMPLE).encode())
    assert got.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert (got.parent_id or b"").hex() == "eee19b7ec3c1b173"
    assert (got.start, got.end) == (1544712660000000000, 1544712661000000000)
    assert (got.kind, got.status, got.events, got.scope) == (2, 2, (), Scope("my.library", "1.0.0"))
    assert got.resource == Resource({"service.name": "my.service"})
    assert repr(got.attributes.pop("nan")) == "nan"
    assert repr(got.attributes) == repr(
        {
            "text": "some value",
            "as text": -(2**63),
            "as number": 5,
            "whole": 5,
            "double": 1.0,
            "url-safe": b"\xfb\xff",
            "empty": None,
            "absent": None,
            "null": None,
            "later": None,
            "none": (),
        }
    )


def test_json_is_written_as_the_specification_says():
    events = (Event("e", 3, {}),)
    links = (Link(TRACE_ID, SPAN_ID, {}, flags=1),)
    attributes = {"i": 1, "d": float("-inf"), "b": b"\xff", "a": (True, None), "m": {"k": 1.5}}
    given = record(attributes=attributes, events=events, links=links, parent_id=SPAN_ID)
    assert json.loads(to_json([given])) == {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": TRACE_ID.hex(),
                                "spanId": SPAN_ID.hex(),
                                "parentSpanId": SPAN_ID.hex(),
                                "name": "s",
                                "kind": 1,
                                "startTimeUnixNano": "1",
                                "endTimeUnixNano": "2",
                                "attributes": [
                                    {"key": "i", "value": {"intValue": "1"}},
                                    {"key": "d", "value": {"doubleValue": "-Infinity"}},
                                    {"key": "b", "value": {"bytesValue": "/w=="}},
                                    {
                                        "key": "a",
                                        "value": {
                                            "arrayValue": {"values": [{"boolValue": True}, {}]}
                                        },
                                    },
                                    {
                                        "key": "m",
                                        "value": {
                                            "kvlistValue": {
                                                "values": [
                                                    {"key": "k", "value": {"doubleValue": 1.5}}
                                                ]
                                            }
                                        },
                                    },
                                ],
                                "events": [{"timeUnixNano": "3", "name": "e"}],
                                "links": [
                                    {
                                        "traceId": TRACE_ID.hex(),
                                        "spanId": SPAN_ID.hex(),
                                        "flags": 1,
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }


def test_a_line_of_json_has_no_line_ends_inside():
    line = to_json([record(attributes={"k": "a\nb\rc"})])
    assert b"\n" not in line
    assert b"\r" not in line


def at(place, value):
    """The example with *value* at a place of its span."""
    request = json.loads(json.dumps(EXAMPLE))
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0][place] = value
    return json.dumps(request)


def valued(value):
    return at("attributes", [{"key": "k", "value": value}])


DEEP = {"stringValue": "x"}
for _ in range(MAX_DEPTH + 1):
    DEEP = {"arrayValue": {"values": [DEEP]}}
WRONG = {
    "half": json.dumps(EXAMPLE)[:300],
    "nothing": "",
    "not utf-8": b"\xff",
    "an array": "[]",
    "a number": "1",
    "spans are no array": '{"resourceSpans": {}}',
    "a span is no object": '{"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]}',
    "an id of base64": at("traceId", "W47/95gDgQPSabYzgT/GDA=="),
    "an id with spaces": at("traceId", "5b 8e"),
    "an id beyond ASCII": at("traceId", "é"),
    "a time as text": at("startTimeUnixNano", "yesterday"),
    "a time below 0": at("startTimeUnixNano", -1),
    "a time beyond 64 bits": at("startTimeUnixNano", 2**64),
    "a true time": at("startTimeUnixNano", value=True),
    "a broken time": at("startTimeUnixNano", 1.5),
    "a huge time": at("startTimeUnixNano", 1e400),
    "a kind of no name": at("kind", "SPAN_KIND_NONE"),
    "a name that is none": at("name", 1),
    "a value without type": valued("text"),
    "an integer beyond 64 bits": valued({"intValue": str(2**63)}),
    "a text that is a number": valued({"stringValue": 1}),
    "a truth that is text": valued({"boolValue": "true"}),
    "a double that is text": valued({"doubleValue": "x"}),
    "a double that is too large": valued({"doubleValue": 10**400}),
    "bytes that are no base64": valued({"bytesValue": "é"}),
    "an array that is none": valued({"arrayValue": {"values": 1}}),
    "deep": valued(DEEP),
    "deeper than Python goes": "[" * 100_000,
    "an endless number": "1" * 5000,
    "an endless number as text": valued({"intValue": "1" * 5000}),
    "an integer with a line": valued({"intValue": "1_000"}),
    "an integer of other digits": valued({"intValue": "\u0661\u0662"}),
    "a double with a line": valued({"doubleValue": "1_0"}),
    "a double of Python's": valued({"doubleValue": "inf"}),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_what_is_no_otlp_json_is_refused(body):
    with pytest.raises(MalformedError):
        from_json(body)


def test_a_refusal_says_what_is_wrong_without_showing_texts():
    with pytest.raises(MalformedError, match=r"intValue is a str instead of an integer$"):
        from_json(valued({"intValue": "secret"}))
    with pytest.raises(MalformedError, match="startTimeUnixNano is out of range: give an integer"):
        from_json(at("startTimeUnixNano", "-5"))
    with pytest.raises(MalformedError, match="intValue is out of range: give an integer from -9"):
        from_json(valued({"intValue": str(2**64)}))
    with pytest.raises(MalformedError, match="stringValue is 1 instead of a text"):
        from_json(valued({"stringValue": 1}))


@pytest.mark.parametrize("text", ["-0", "1", "1.5", "-1e-7", "2E+3", "1e400", "-Infinity"])
def test_a_double_may_be_a_text(text):
    assert float(text) in from_json(valued({"doubleValue": text}))[0].attributes.values()


@pytest.mark.parametrize("body", [b"\x0a\x0f", b"{}", b"\xff" * 40, to_json([record()])])
def test_what_is_no_protobuf_is_refused(body):
    with pytest.raises(MalformedError):
        from_protobuf(body)


def test_protobuf_that_is_nested_too_deeply_is_refused():
    value = AnyValue(string_value="x")
    for _ in range(MAX_DEPTH + 1):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    request = request_of([record()])
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.append(KeyValue(key="k", value=value))
    with pytest.raises(MalformedError):
        from_protobuf(request.SerializeToString())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "trace id has 0 bytes"),
        ({"trace_id": bytes(16)}, "trace id is all zeros"),
        ({"span_id": b"1" * 16}, "span id has 16 bytes"),
        ({"span_id": bytes(8)}, "span id is all zeros"),
        ({"parent_id": b"1"}, "parent's id has 1 bytes"),
        ({"start": 2**63}, "after the year 2262"),
        ({"end": 2**64 - 1}, "after the year 2262"),
    ],
)
def test_a_span_that_cannot_be_stored_says_why(fields, reason):
    from dataclasses import replace

    assert reason in defect(replace(record(), **fields))


def test_a_span_without_a_name_that_ends_before_it_starts_can_be_stored():
    assert defect(record(name="", start=5, end=1)) is None
