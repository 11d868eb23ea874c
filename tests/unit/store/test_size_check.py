"""What is small but would take much memory is refused before it is parsed."""

import gzip
import json
from contextlib import suppress
from os import urandom

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


def uncompressed(body):
    return body, len(body)


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


EMPTY = 20 * MEGABYTE
BOMBS = {
    "empty resources": b"\x0a\x00" * EMPTY,
    "fields that no request has": b"\x18\x00" * EMPTY,
    "empty scopes": message(1, b"\x12\x00" * EMPTY),
    "fields that no scope has": request(b"\x18\x00" * EMPTY),
    "empty attributes": request(message(2, IDS + b"\x4a\x00" * EMPTY)),
    "attributes without a name": request(message(2, IDS + b"\x4a\x02\x0a\x00" * 800_000)),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_small_compressed_request_does_not_take_long(body, monkeypatch):
    """Whatever it becomes, only so many fields are looked at for each byte that came."""
    sent = len(gzip.compress(body, 9))
    looked_at = 0
    varint = size_check._varint

    def counted(body, at):
        nonlocal looked_at
        looked_at += 1
        return varint(body, at)

    monkeypatch.setattr(size_check, "_varint", counted)
    with pytest.raises(TooLargeError, match="too many fields"):
        check_protobuf(body, sent)
    assert looked_at <= 2 * (100_000 + 4 * sent) + 100


def test_a_small_compressed_request_of_many_objects_is_refused():
    body = b"[" + b"{}," * 1_500_000 + b"{}]"
    check_json(*uncompressed(body))
    with pytest.raises(TooLargeError, match="too many objects"):
        check_json(body, len(gzip.compress(body)))


def ids(number):
    """The ids of that many spans, which no compression makes smaller."""
    return [(urandom(16), urandom(8)) for _ in range(number)]


@pytest.mark.parametrize(
    ("spans", "attributes"), [(20_000, 10), (1, 10_000), (90, 10_000), (3_000, 200)]
)
def test_large_batches_are_taken_even_if_they_compress_well(spans, attributes):
    many = {f"llm.input_messages.{number}.message.role": "user" for number in range(attributes)}
    body = to_protobuf([SpanRecord(*it, None, "s", 1, 2, many) for it in ids(spans)])
    check_protobuf(*uncompressed(body))
    check_protobuf(body, len(gzip.compress(body)))


def test_each_span_may_have_a_resource_of_its_own():
    resource = message(1, message(1, b"\x0a\x03k-v"))
    alone = [message(1, resource + request(message(2, IDS))[2:]) for _ in range(MAX_SPANS)]
    check_protobuf(*uncompressed(b"".join(alone)))


def test_as_many_spans_as_allowed_are_taken():
    check_protobuf(*uncompressed(request(b"\x12\x00" * MAX_SPANS)))


def test_long_texts_full_of_brackets_are_taken():
    """What a tool was asked for is JSON in a text; a body of 64 MiB may consist of such texts."""
    arguments = json.dumps({"place": "Lisbon", "days": [1, 2]})
    body = to_json([SPAN] * 100)[:-4] + arguments.encode() * (8 * MEGABYTE // len(arguments))
    check_json(*uncompressed(body))
    check_json(body, len(gzip.compress(body)))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(), st.booleans())
def test_what_exporters_send_passes(records, is_large):
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            patch.setattr(size_check, "_LARGE", 0)
        check_protobuf(*uncompressed(to_protobuf(records)))
        check_json(*uncompressed(to_json(records)))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_every_span_is_counted(records):
    body = to_protobuf(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size_check, "MAX_SPANS", len(records))
        check_protobuf(*uncompressed(body))
        patch.setattr(size_check, "MAX_SPANS", len(records) - 1)
        if records:
            with pytest.raises(TooLargeError):
                check_protobuf(*uncompressed(body))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=30).map(request))
def test_no_body_breaks_it(body):
    with suppress(MalformedError):
        check_protobuf(*uncompressed(body))


def test_a_request_that_is_cut_off_anywhere_is_refused():
    body = to_protobuf([SPAN])
    for end in range(1, len(body)):
        with pytest.raises(MalformedError):
            check_protobuf(*uncompressed(body[:end]))
