"""What is small but would take much memory is refused before it is parsed."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.store.otlp import MalformedError, TooLargeError, size_check, to_json, to_protobuf
from clew.store.otlp.limits import MAX_SPANS
from clew.store.otlp.size_check import check_json, check_protobuf
from clew.store.receiver import JSON, PROTOBUF, Receiver
from clew.store.record import SpanRecord
from tests.support.span_records import batches

MEGABYTE = 2**20
SPAN = SpanRecord(bytes(range(16)), bytes(range(8)), None, "s", 1, 2, {"k": "v"})


def message(number, content):
    """A field of protobuf that is a message."""
    length, encoded = len(content), b""
    while length > 127:
        encoded += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([length]) + content


def request(spans):
    return message(1, message(2, spans))


IDS = message(1, b"1" * 16) + message(2, b"2" * 8)
CROWDED = {
    "empty spans": request(b"\x12\x00" * (MAX_SPANS + 1)),
    "spans with ids": request(message(2, IDS) * (MAX_SPANS + 1)),
    "empty attributes": request(message(2, IDS + b"\x4a\x00" * (5 * MEGABYTE))),
    "empty events": request(message(2, IDS + b"\x5a\x00" * 500) * 9_000),
    "empty scopes": message(1, b"\x12\x00" * (2 * MEGABYTE)),
    "empty resources": b"\x0a\x00" * (2 * MEGABYTE),
}


@pytest.mark.parametrize("body", CROWDED.values(), ids=CROWDED)
def test_a_request_of_very_many_empty_messages_is_413(body):
    receiver = Receiver(pytest.fail)
    headers = {"Host": "localhost", "Content-Type": PROTOBUF}
    assert receiver("POST", "/v1/traces", headers, body).status == 413


@pytest.mark.parametrize(
    ("part", "times"),
    [(b"{},", MAX_SPANS), (b"{},", 5_000_000), (b"[],", 5_000_000), (b"[[],{}],", 2_000_000)],
)
def test_json_of_very_many_empty_objects_is_413(part, times):
    spans = part * times + b"{}"
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + spans + b"]}]}]}"
    receiver = Receiver(pytest.fail)
    headers = {"Host": "localhost", "Content-Type": JSON}
    assert receiver("POST", "/v1/traces", headers, body).status == 413


def test_as_many_spans_as_allowed_are_taken():
    check_protobuf(request(b"\x12\x00" * MAX_SPANS))


def test_long_texts_full_of_brackets_are_taken():
    """What a tool was asked for is JSON in a text; a body of 64 MiB may consist of such texts."""
    arguments = json.dumps({"place": "Lisbon", "days": [1, 2]})
    body = to_json([SPAN] * 100)[:-4] + arguments.encode() * (8 * MEGABYTE // len(arguments))
    check_json(body)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(), st.booleans())
def test_what_exporters_send_passes(records, is_large):
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            patch.setattr(size_check, "_LARGE", 0)
        check_protobuf(to_protobuf(records))
        check_json(to_json(records))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_every_span_is_counted(records):
    body = to_protobuf(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size_check, "MAX_SPANS", len(records))
        check_protobuf(body)
        patch.setattr(size_check, "MAX_SPANS", len(records) - 1)
        if records:
            with pytest.raises(TooLargeError):
                check_protobuf(body)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=30).map(request))
def test_no_body_breaks_it(body):
    with suppress(MalformedError):
        check_protobuf(body)


def test_a_request_that_is_cut_off_anywhere_is_refused():
    body = to_protobuf([SPAN])
    for end in range(1, len(body)):
        with pytest.raises(MalformedError):
            check_protobuf(body[:end])
