"""The OTLP server answers whatever comes over a socket: halves, slow clients, bombs, too many."""

import gzip
import logging
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread

import pytest

from clew.store.http_server import OtlpServer
from clew.store.otlp import to_protobuf
from clew.store.receiver import Receiver
from clew.store.record import SpanRecord
from tests.integration.store.serving import Connection, Kept, chunked, head, serving, whole

SPAN = SpanRecord(bytes(range(16)), bytes(range(8)), None, "s", 1, 2, {"k": "v"})
BODY = to_protobuf([SPAN])
MEGABYTE = 2**20


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def server(kept):
    with serving(kept) as server:
        yield server


def test_many_requests_go_over_one_connection(server, kept):
    with Connection(server) as connection:
        for _ in range(3):
            connection.send(whole(BODY))
            status, headers, body = connection.answer()
            assert (status, body) == (200, b"")
            assert headers["content-type"] == "application/x-protobuf"
            assert "connection" not in headers
        connection.send(whole(BODY), whole(BODY))
        assert [connection.answer()[0] for _ in range(2)] == [200, 200]
    assert kept.records == [SPAN] * 5


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:4318", "[::1]:4318"])
def test_the_target_may_name_the_host(server, kept, host):
    """RFC 9112: a server has to accept the absolute form, which is for proxies."""
    with Connection(server) as connection:
        connection.send(whole(BODY, path=f"http://{host}/v1/traces?a=b://c"))
        assert connection.answer()[0] == 200
    assert kept.records == [SPAN]


def test_a_target_with_a_host_does_not_replace_the_header(server):
    with Connection(server) as connection:
        connection.send(
            whole(BODY, path="http://localhost/v1/traces").replace(
                b"Host: localhost", b"Host: evil.example"
            )
        )
        assert connection.answer()[0] == 403


def test_a_body_may_come_in_chunks(server, kept):
    with Connection(server) as connection:
        connection.send(chunked(BODY[:5], BODY[5:]))
        assert connection.answer()[0] == 200
        extended = head("Transfer-Encoding: chunked") + b"%X;a=b\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n"
        connection.send(extended % (len(BODY), BODY))
        assert connection.answer()[0] == 200
        connection.send(whole(BODY))
        assert connection.answer()[0] == 200
    assert kept.records == [SPAN] * 3


def test_a_client_that_asks_first_is_told_to_continue(server, kept):
    with Connection(server) as connection:
        connection.send(head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert connection.answer()[0] == 100
        connection.send(BODY)
        assert connection.answer()[0] == 200
    assert kept.records == [SPAN]


def test_a_client_that_asks_first_is_refused_before_it_sends(server):
    for request, status in (
        (head("Content-Length: 5", "Expect: 100-continue", path="/v1/logs"), 404),
        (head(f"Content-Length: {2 * MEGABYTE}", "Expect: 100-continue"), 413),
    ):
        with Connection(server) as connection:
            connection.send(request)
            assert connection.answer()[0] == status


@pytest.mark.parametrize(
    "request_",
    [
        whole(BODY)[:-5],
        head("Transfer-Encoding: chunked") + b"ff\r\nabc",
        head("Transfer-Encoding: chunked") + b"3\r\nabc\r\n",
        head("Transfer-Encoding: chunked") + b"3",
    ],
)
def test_half_a_body_is_400(server, kept, request_):
    with Connection(server) as connection:
        connection.send(request_)
        connection.end()
        status, headers, body = connection.answer()
        assert status == 400
        assert b"the connection ended before the body did" in body
        assert headers["connection"] == "close"
        assert connection.is_closed()
    assert kept.records == []


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (411, head()),
        (400, head("Content-Length: many")),
        (404, whole(BODY, path="/v1/metrics?a=b")),
        (404, head("Content-Length: 0", path="//[")),
        (404, whole(BODY, path="http://localhost")),
        (404, whole(BODY, path="ftp://localhost/v1/traces")),
        (403, whole(BODY, path="http://evil.example/v1/traces")),
        (403, whole(BODY, path="http://localhost@evil.example/v1/traces")),
        (403, whole(BODY, path="http:///v1/traces")),
        (405, head("Content-Length: 0", method="GET")),
        (405, head("Content-Length: 0", method="ANY\xff")),
        (415, whole(BODY, media_type="text/plain")),
        (400, b"\x16\x03\x01 TLS is not spoken here\r\n"),
        (403, b"GET /v1/traces\r\n"),
        (505, b"POST / HTTP/2.0\r\n\r\n"),
        (414, b"POST /" + b"x" * 70000 + b" HTTP/1.1\r\n"),
        (431, head(*[f"X-{number}: 1" for number in range(150)])),
    ],
)
def test_what_is_refused(server, kept, status, request_):
    with Connection(server) as connection:
        connection.send(request_)
        connection.end()
        assert connection.answer()[0] == status
    assert kept.records == []


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 1", "Transfer-Encoding: chunked"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: -1"],
        ["Content-Length: 99999999999999999999"],
        ["Transfer-Encoding: gzip, chunked"],
    ],
)
def test_a_length_that_could_be_read_in_two_ways_is_400(server, headers):
    with Connection(server) as connection:
        connection.send(head(*headers))
        assert connection.answer()[0] == 400
        connection.end()
        assert connection.is_closed()


@pytest.mark.parametrize("size", [b"x", b"-1", b"", b"0x1", b"f" * 16, b"1" * 2000])
def test_a_chunk_without_a_size_is_400(server, size):
    with Connection(server) as connection:
        connection.send(head("Transfer-Encoding: chunked"), size, b"\r\n")
        assert connection.answer()[0] == 400


def test_a_client_that_sends_too_much_reads_why(server, kept):
    """It is still sending when it is refused; the answer is not lost in a reset connection."""
    large = bytes(20 * MEGABYTE)
    for request in (whole(large), chunked(*[bytes(MEGABYTE)] * 20), whole(large, path="/")):
        with Connection(server) as connection:
            connection.send(request)
            connection.end()
            assert connection.answer()[0] in {413, 404}
            assert connection.is_closed()
    assert kept.records == []


def test_a_bomb_is_413(server):
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(100)) + packer.flush()
    with Connection(server) as connection:
        connection.send(whole(bomb, "Content-Encoding: gzip"))
        assert connection.answer()[0] == 413
        connection.send(whole(gzip.compress(BODY), "Content-Encoding: gzip"))
        assert connection.answer()[0] == 200


def test_a_body_that_never_comes_is_408(kept):
    with serving(kept, patience=0.3) as server:
        for request in (whole(BODY)[:-5], head("Transfer-Encoding: chunked") + b"ff\r\n"):
            with Connection(server) as connection:
                connection.send(request)
                assert connection.answer()[0] == 408
                connection.end()
                assert connection.is_closed()


def test_a_body_that_comes_byte_by_byte_is_408(kept):
    """Each byte comes in time, but all of them do not."""
    with serving(kept, patience=0.5) as server, Connection(server) as connection:
        connection.send(head("Content-Length: 1000"))
        for _ in range(50):
            connection.send(b"x")
            if connection.is_answered(within=0.1):
                break
        assert connection.answer()[0] == 408


@pytest.mark.parametrize("start", [b"", b"POST /v1/traces HT", head()[:-2]])
def test_a_request_that_never_comes_ends_the_connection(kept, start):
    with serving(kept, patience=0.3) as server, Connection(server) as connection:
        connection.send(start)
        assert connection.is_closed()


def test_more_connections_than_allowed_are_told_to_come_later(kept):
    with serving(kept, max_connections=4) as server:
        first = [Connection(server) for _ in range(4)]
        for connection in first:
            connection.send(whole(BODY)[:-5])
        with Connection(server) as late:
            status, headers, _ = late.answer()
            assert (status, headers["retry-after"]) == (503, "1")
            assert late.is_closed()
        # The first answers end their connections, because there are many of them.
        for number, connection in enumerate(first):
            connection.send(BODY[-5:])
            status, headers, _ = connection.answer()
            assert status == 200
            if number == 0:
                assert headers["connection"] == "close"
                assert connection.is_closed()
            connection.__exit__()
    assert kept.records == [SPAN] * 4


def test_large_bodies_that_come_at_once_share_their_memory(kept):
    with serving(kept) as server:
        almost = MEGABYTE - 10
        assert server.memory.take(4 * MEGABYTE - 5)
        with Connection(server) as connection:
            connection.send(whole(bytes(almost)))
            status, headers, _ = connection.answer()
            assert (status, headers["retry-after"]) == (503, "1")
        server.memory.give_back(4 * MEGABYTE - 5)
        with Connection(server) as connection:
            connection.send(whole(BODY))
            assert connection.answer()[0] == 200
    assert server.memory.take(4 * MEGABYTE), "all of it was given back"


def test_a_client_that_breaks_off_disturbs_nobody(kept, caplog):
    with serving(kept) as server:
        for start in (b"PO", head("Content-Length: 50"), whole(BODY)[:-5]):
            with Connection(server) as connection:
                connection.send(start)
                connection.reset()
        with Connection(server) as connection:
            connection.send(whole(BODY))
            assert connection.answer()[0] == 200
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []


def test_clients_that_send_at_the_same_time_lose_nothing(kept):
    def send(number):
        spans = [replace(SPAN, name=f"{number} {each}") for each in range(50)]
        with Connection(server) as connection:
            for span in spans:
                connection.send(whole(to_protobuf([span])))
                assert connection.answer()[0] == 200
        return {span.name for span in spans}

    with serving(kept) as server, ThreadPoolExecutor(16) as pool:
        names = set().union(*pool.map(send, range(16)))
    assert len(kept.records) == len(names) == 800
    assert {record.name for record in kept.records} == names


def test_a_request_is_finished_when_the_server_stops():
    storing, go, kept = Event(), Event(), Kept()

    def store(records):
        storing.set()
        assert go.wait(20)
        kept(records)

    def stop(server):
        server.shutdown()
        server.server_close()

    with serving(store) as server, Connection(server) as connection, Connection(server) as idle:
        connection.send(whole(BODY))
        assert storing.wait(20)
        stopping = Thread(target=stop, args=[server])
        stopping.start()
        go.set()
        assert connection.answer()[0] == 200
        stopping.join(20)
        assert idle.is_closed()
        assert connection.is_closed()
    assert kept.records == [SPAN]


def test_a_name_is_not_looked_up_and_the_port_is_freed(kept):
    with serving(kept) as server:
        address = server.server_address
        assert (server.server_name, server.server_port) == address
        with pytest.raises(OSError, match="in use"):
            OtlpServer(Receiver(kept), address)
    again = OtlpServer(Receiver(kept), address)
    again.server_close()
