"""Rows of the Collector's table, as its exporter writes them."""

import pytest

from clew.sessions.engines.collector_rows import row_of, text_of
from clew.store.record import ERROR, Event, Link, Resource, Scope, SpanRecord


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12", "12"),
        (12, "12"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (2.0, "2"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.25e300, "1.25e+300"),
        (float("nan"), "json: unsupported value: NaN"),
        (float("-inf"), "json: unsupported value: -Inf"),
        (b"hi\xff", "aGn/"),
        ((), "[]"),
        (("a", 1, 1.0, True, None, b"hi"), '["a",1,1,true,null,"aGk="]'),
        ({"b": 1, "a": {"c": "<&>"}}, '{"a":{"c":"\\u003c\\u0026\\u003e"},"b":1}'),
        (('a "b"\n\u2028é',), '["a \\"b\\"\\n\\u2028é"]'),
        ((float("inf"),), ""),
        ("half \ud83d", "half ?"),
    ],
)
def test_values_as_text(value, text):
    assert text_of(value) == text


def test_a_row():
    span = SpanRecord(
        trace_id=bytes(15) + b"\1",
        span_id=bytes(7) + b"\2",
        parent_id=None,
        name="ask",
        start=5,
        end=12,
        attributes={"a": 1},
        kind=3,
        status=ERROR,
        status_message="broke",
        events=(Event("exception", 7, {"n": True}),),
        links=(Link(bytes(15) + b"\4", bytes(7) + b"\5", {"l": 0.5}, "k=v"),),
        resource=Resource({"service.name": "shop", "process.pid": 9}),
        scope=Scope("openai", "1.0"),
        trace_state="x=y",
    )
    assert row_of(span) == {
        "Timestamp": 5,
        "TraceId": "00000000000000000000000000000001",
        "SpanId": "0000000000000002",
        "ParentSpanId": "",
        "TraceState": "x=y",
        "SpanName": "ask",
        "SpanKind": "Client",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop", "process.pid": "9"},
        "ScopeName": "openai",
        "ScopeVersion": "1.0",
        "SpanAttributes": {"a": "1"},
        "Duration": 7,
        "StatusCode": "Error",
        "StatusMessage": "broke",
        "Events.Timestamp": [7],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"n": "true"}],
        "Links.TraceId": ["00000000000000000000000000000004"],
        "Links.SpanId": ["0000000000000005"],
        "Links.TraceState": ["k=v"],
        "Links.Attributes": [{"l": "0.5"}],
    }
    kept = row_of(span, with_types=True)
    assert kept["SpanAttributes"] == {"a": 1}
    assert kept["Events.Attributes"] == [{"n": True}]
