"""What the OTLP/HTTP endpoint answers, whichever server a request came through."""

import gzip
import json
import tracemalloc
import zlib
from dataclasses import replace
from threading import Event, Thread

import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from clew.core import containment
from clew.store import receiver
from clew.store.otlp import from_protobuf, to_json, to_protobuf
from clew.store.receiver import JSON, PROTOBUF, Receiver, StoreUnavailableError
from clew.store.record import SpanRecord

MEGABYTE = 2**20
SPAN = SpanRecord(bytes(range(16)), bytes(range(8)), None, "s", 1, 2, {"k": "v"})
UNUSABLE = [
    replace(SPAN, trace_id=bytes(16)),
    replace(SPAN, span_id=b"short"),
    replace(SPAN, parent_id=b"short"),
]
WRITERS = {PROTOBUF: to_protobuf, JSON: to_json}


class Client:
    """Sends requests to a receiver that keeps what it stores."""

    def __init__(self, **options):
        self.stored = []
        self.receiver = Receiver(self.stored.extend, **options)

    def send(self, body, media_type=PROTOBUF, *, method="POST", path="/v1/traces", **headers):
        given = {"Host": "localhost:4318", "Content-Type": media_type}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.receiver(method, path, given, body)


@pytest.fixture
def client():
    return Client(max_bytes=MEGABYTE)


def error_of(response):
    """The code and message of an error, in whichever encoding it is."""
    if response.headers["Content-Type"] == JSON:
        said = json.loads(response.body)
        return said["code"], said["message"]
    status = Status.FromString(response.body)
    return status.code, status.message


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize("coding", [None, "identity", "gzip", "GZIP"])
def test_spans_are_stored_and_answered_in_the_encoding_of_the_request(client, media_type, coding):
    body = WRITERS[media_type]([SPAN, SPAN])
    headers = {"content_encoding": coding} if coding else {}
    packed = gzip.compress(body) if coding in {"gzip", "GZIP"} else body
    response = client.send(packed, f"{media_type}; charset=utf-8", **headers)
    assert client.stored == [SPAN, SPAN]
    assert response.status == 200
    assert response.headers == {"Content-Type": media_type}
    assert response.body == {PROTOBUF: b"", JSON: b"{}"}[media_type]


@pytest.mark.parametrize("body", [b"", to_protobuf([])])
def test_a_request_without_spans_is_fine(client, body):
    assert client.send(body).status == 200
    assert client.stored == []


def test_what_cannot_be_stored_is_said_and_the_rest_is_stored(client):
    response = client.send(to_protobuf([UNUSABLE[0], SPAN, *UNUSABLE[1:]]))
    assert response.status == 200
    assert client.stored == [SPAN]
    partial = ExportTraceServiceResponse.FromString(response.body).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message == (
        "3 of 4 spans are not stored; of the first: its trace id is all zeros"
    )


def test_what_cannot_be_stored_is_said_in_json(client):
    response = client.send(to_json(UNUSABLE[1:2]), JSON)
    assert response.status == 200
    assert json.loads(response.body)["partialSuccess"] == {
        "rejectedSpans": "1",
        "errorMessage": "1 of 1 spans are not stored; of the first: "
        "its span id has 5 bytes instead of 8",
    }


def test_a_span_without_a_name_that_ends_before_it_starts_is_stored(client):
    odd = replace(SPAN, name="", start=9, end=1)
    assert client.send(to_protobuf([odd])).body == b""
    assert client.stored == [odd]


WHOLE = to_protobuf([SPAN])
UNREADABLE = {
    "half": (WHOLE[:-9], PROTOBUF, {}),
    "JSON as protobuf": (to_json([SPAN]), PROTOBUF, {}),
    "protobuf as JSON": (WHOLE, JSON, {}),
    "half of JSON": (to_json([SPAN])[:-9], JSON, {}),
    "other JSON": (b"[]", JSON, {}),
    "nothing as JSON": (b"", JSON, {}),
    "not gzip": (WHOLE, PROTOBUF, {"content_encoding": "gzip"}),
    "half of gzip": (gzip.compress(WHOLE)[:-9], PROTOBUF, {"content_encoding": "gzip"}),
    "nothing as gzip": (b"", PROTOBUF, {"content_encoding": "gzip"}),
    "gzip that is not said": (gzip.compress(WHOLE), PROTOBUF, {}),
    "zlib as gzip": (zlib.compress(WHOLE), PROTOBUF, {"content_encoding": "gzip"}),
    "gzip and more": (gzip.compress(WHOLE) + b"x", PROTOBUF, {"content_encoding": "gzip"}),
    "broken gzip": (
        gzip.compress(WHOLE)[:-8] + bytes(8),
        PROTOBUF,
        {"content_encoding": "gzip"},
    ),
}


@pytest.mark.parametrize(("body", "media_type", "headers"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_400(client, body, media_type, headers):
    response = client.send(body, media_type, **headers)
    assert response.status == 400
    assert response.headers["Content-Type"] == media_type
    code, message = error_of(response)
    assert code == 3
    assert message
    assert client.stored == []


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.integers(0, len(WHOLE)).map(lambda at: WHOLE[:at] + b"\x0a\xff"),
    st.sampled_from([PROTOBUF, JSON]),
    st.sampled_from(["gzip", "identity"]),
)
def test_no_body_breaks_it(body, media_type, coding):
    packed = gzip.compress(body) if coding == "gzip" else body
    response = Client().send(packed, media_type, content_encoding=coding)
    assert response.status in {200, 400}


REFUSED = {
    "another host": (403, {"host": "evil.example:4318"}),
    "a host that looks like it": (403, {"host": "localhost.evil.example"}),
    "no host": (403, {"host": ""}),
    "a host that is none": (403, {"host": "[::1"}),
    "an address elsewhere": (403, {"host": "192.168.0.1"}),
    "another site": (403, {"origin": "https://evil.example"}),
    "another port": (403, {"origin": "http://localhost:3000"}),
    "a sandboxed page": (403, {"origin": "null"}),
    "metrics": (404, {"path": "/v1/metrics"}),
    "the root": (404, {"path": "/"}),
    "another method": (405, {"method": "GET"}),
    "a question about CORS": (405, {"method": "OPTIONS"}),
    "text": (415, {"media_type": "text/plain"}),
    "no type": (415, {"media_type": ""}),
    "another coding": (415, {"content_encoding": "deflate"}),
    "two codings": (415, {"content_encoding": "gzip, gzip"}),
}


@pytest.mark.parametrize(("status", "how"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_whatever_its_body_is(client, status, how):
    response = client.send(WHOLE, **how)
    assert response.status == status
    assert error_of(response)[1]
    assert not any(name.startswith("Access-Control") for name in response.headers)
    assert client.stored == []


def test_a_refusal_says_what_is_taken(client):
    assert client.send(b"", method="GET").headers["Allow"] == "POST"
    assert client.send(b"", content_encoding="br").headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:4318", "127.9.9.9", "[::1]:4318", "desk:80"]
)
def test_hosts_on_this_machine_and_configured_ones_are_served(host):
    assert Client(hosts=["Desk"]).send(WHOLE, host=host).status == 200


def test_a_page_of_this_server_may_send(client):
    origin = "http://localhost:4318"
    assert client.send(WHOLE, origin=origin).status == 200


@pytest.mark.parametrize("media_type", WRITERS)
def test_too_large_is_413(client, media_type):
    large = WRITERS[media_type]([replace(SPAN, name="x" * MEGABYTE)])
    for body, headers in ((large, {}), (gzip.compress(large), {"content_encoding": "gzip"})):
        response = client.send(body, media_type, **headers)
        assert response.status == 413
        assert response.headers["Content-Type"] == media_type
        assert error_of(response) == (8, "more than 1048576 bytes; export fewer spans at once")
    assert client.stored == []


def test_as_large_as_allowed_is_taken(client):
    body = to_json([SPAN])
    body += b" " * (MEGABYTE - len(body))
    assert client.send(body, JSON).status == 200
    assert client.send(gzip.compress(body), JSON, content_encoding="gzip").status == 200
    assert client.send(gzip.compress(body + b" "), JSON, content_encoding="gzip").status == 413


def test_a_bomb_is_stopped_while_it_is_decompressed(client):
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    try:
        response = client.send(bomb, content_encoding="gzip")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert response.status == 413
    assert most < 3 * MEGABYTE


def test_gzip_of_several_members_is_read(client):
    half = len(WHOLE) // 2
    body = gzip.compress(WHOLE[:half]) + gzip.compress(WHOLE[half:])
    assert client.send(body, content_encoding="gzip").status == 200
    assert client.stored == [SPAN]


def test_gzip_of_very_many_empty_members_takes_no_long_time():
    member = gzip.compress(b"")
    body = member * (8 * MEGABYTE // len(member)) + gzip.compress(WHOLE)
    assert Client().send(body, content_encoding="gzip").status == 200


@pytest.mark.parametrize("media_type", WRITERS)
def test_a_store_that_is_busy_has_the_client_try_again(media_type):
    full = StoreUnavailableError("the store is full", retry_after=7)

    def store(_records):
        raise full

    headers = {"Host": "localhost", "Content-Type": media_type}
    response = Receiver(store)("POST", "/v1/traces", headers, WRITERS[media_type]([SPAN]))
    assert response.status == 503
    assert response.headers == {"Content-Type": media_type, "Retry-After": "7"}
    assert error_of(response) == (14, "the store is full")


def test_a_store_that_fails_is_500_and_logged(monkeypatch, caplog):
    broken = RuntimeError("secret")

    def store(_records):
        raise broken

    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    headers = {"Host": "localhost", "Content-Type": PROTOBUF}
    response = Receiver(store)("POST", "/v1/traces", headers, WHOLE)
    assert response.status == 500
    code, message = error_of(response)
    assert code == 13
    assert "secret" not in message
    assert "clew failed while storing received spans" in caplog.text


def test_a_defect_of_reading_is_500_and_logged(client, monkeypatch, caplog):
    def read(_body):
        return 1 / 0

    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    monkeypatch.setitem(receiver._READERS, JSON, (read, read))
    assert client.send(b"{}", JSON).status == 500
    assert "clew failed while reading received spans" in caplog.text


def test_the_answer_is_made_after_the_spans_are_stored():
    storing, go, answers = Event(), Event(), []

    def store(_records):
        storing.set()
        assert go.wait(10)

    endpoint = Receiver(store)
    headers = {"Host": "localhost", "Content-Type": PROTOBUF}

    def request():
        answers.append(endpoint("POST", "/v1/traces", headers, WHOLE).status)

    thread = Thread(target=request)
    thread.start()
    assert storing.wait(10)
    assert answers == []
    go.set()
    thread.join(10)
    assert answers == [200]


def test_what_is_stored_is_what_was_sent(client):
    client.send(WHOLE)
    assert client.stored == from_protobuf(WHOLE) == [SPAN]
