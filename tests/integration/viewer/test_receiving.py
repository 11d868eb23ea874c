"""The page's receiver answers what comes over a socket: halves, slow clients, too much at once."""

import logging
import threading
import time
from types import SimpleNamespace

import pytest
import uvicorn

from clew.store.otlp import to_protobuf
from clew.viewer import bodies
from clew.viewer.app import create_app
from tests.integration.store.serving import Connection, chunked, head, whole
from tests.support.conversation_spans import turn

BODY = to_protobuf(turn("sent"))
MEGABYTE = 2**20
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def page(path):
    """The page, served by a thread."""
    app = create_app(path)
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    yield SimpleNamespace(app=app, server_address=address)
    server.should_exit = True
    thread.join(20)


def answered(page, request):
    with Connection(page) as connection:
        connection.send(request)
        return connection.answer()


def complaints(caplog):
    return [it for it in caplog.records if it.levelno >= logging.WARNING]


@pytest.mark.parametrize("request_", [whole(BODY), chunked(BODY[:5], BODY[5:])])
def test_spans_are_taken(page, request_):
    assert answered(page, request_)[0] == 200
    assert b"sent" in answered(page, head(method="GET", path="/"))[2]


def test_what_asks_only_for_the_head_of_the_events_is_answered_at_once(page):
    with Connection(page, timeout=5) as connection:
        connection.send(head("Connection: close", method="HEAD", path="/events"))
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert headers["content-type"].startswith("text/event-stream")
        assert connection.is_closed()


def test_a_client_that_breaks_off_disturbs_nobody(page, caplog):
    form = whole(b"a=b", path="/evaluations", media_type=FORM)
    for start in (head("Content-Length: 50"), whole(BODY)[:-5], form[:-1]):
        for breaking_off in (Connection.reset, Connection.end):
            with Connection(page) as connection:
                connection.send(start)
                time.sleep(0.1)
                breaking_off(connection)
    time.sleep(0.3)
    assert answered(page, whole(BODY))[0] == 200
    assert complaints(caplog) == []


@pytest.mark.parametrize(
    ("to", "kind", "then"),
    [("/v1/traces", "application/x-protobuf", "close"), ("/evaluations", FORM, None)],
)
def test_a_body_that_comes_byte_by_byte_is_408(page, caplog, monkeypatch, to, kind, then):
    """Each byte comes in time, but all of them do not."""
    monkeypatch.setattr(bodies, "_PATIENCE", 0.5)
    with Connection(page) as connection:
        connection.send(head("Content-Length: 1000", path=to, media_type=kind))
        for _ in range(50):
            connection.send(b"x")
            if connection.is_answered(within=0.1):
                break
        status, headers, _ = connection.answer()
        assert (status, headers.get("connection")) == (408, then)
        assert then is None or connection.is_closed()
    assert complaints(caplog) == []


def test_a_body_that_is_too_large_is_413_before_it_comes(page):
    assert answered(page, head(f"Content-Length: {65 * MEGABYTE}"))[0] == 413


def test_a_client_that_sends_too_much_reads_why(page):
    pieces = [bytes(MEGABYTE)] * 65
    for request in (whole(b"".join(pieces)), chunked(*pieces)):
        assert answered(page, request)[0] == 413
    assert answered(page, whole(BODY))[0] == 200


def test_large_bodies_that_come_at_once_share_their_memory(page):
    memory = page.app.state.memory
    assert memory.take(256 * MEGABYTE - 5)
    status, headers, _ = answered(page, whole(BODY))
    assert (status, headers["retry-after"]) == (503, "1")
    memory.give_back(256 * MEGABYTE - 5)
    assert answered(page, whole(BODY))[0] == 200
    assert memory.take(256 * MEGABYTE), "all of it was given back"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, ["Content-Length: 1", "Transfer-Encoding: chunked"]),
        (400, ["Content-Length: 99999999999999999999"]),
        (411, []),
    ],
)
def test_a_length_that_is_missing_or_could_be_read_in_two_ways_is_refused(page, status, headers):
    with Connection(page) as connection:
        connection.send(head(*headers))
        assert connection.answer()[0] == status
        assert connection.is_closed()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:4319", "[::1]:4319"])
def test_the_target_may_name_the_host(page, host):
    """RFC 9112: a server has to accept the absolute form, which is for proxies."""
    assert answered(page, whole(BODY, path=f"http://{host}/v1/traces?a=b://c"))[0] == 200
    status, _, shown = answered(page, head(method="GET", path=f"http://{host}/?user=%61da"))
    assert (status, b"sent" in shown) == (200, True)


@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", ""])
def test_a_target_that_names_another_host_is_refused(page, path, host):
    for request in (
        whole(BODY, path=f"http://{host}/v1/traces"),
        head(method="GET", path=f"http://{host}/"),
        whole(BODY, path="http://localhost/v1/traces").replace(b": localhost", b": evil.example"),
    ):
        assert answered(page, request)[0] == 403
    assert not path.exists()
