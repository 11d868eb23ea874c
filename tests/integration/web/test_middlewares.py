"""The middlewares called as a server would, in cases that real servers do not allow."""

import asyncio
import gc
import threading
from io import BytesIO

import pytest
from opentelemetry.context import get_current
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, use_span

from clew import current, using_session
from clew.core import containment, counters
from clew.core.errors import ConfigurationError
from clew.web import from_baggage, from_cookie, from_header
from clew.web.asgi import SessionMiddleware as ASGIMiddleware
from clew.web.wsgi import SessionMiddleware as WSGIMiddleware

HEADERS = [(b"x-session-id", b"chat-42"), (b"cookie", b"uid=ada")]
SOURCES = {"session": from_header("x-session-id"), "user": from_cookie("uid")}
BOTH = ("chat-42", "ada")


def ids():
    said = current()
    return said.session_id, said.user_id


def call_asgi(headers=HEADERS, kind="http", app=None, **options):
    """Return the ids that the application ran in, and the messages that it sent."""
    seen, sent = [], []

    async def application(scope, receive, send):
        seen.append(ids())
        opening = "http.response.start" if scope["type"] == "http" else "websocket.accept"
        await send({"type": opening, "headers": [(b"a", b"b")]})

    async def send(message):
        sent.append(message)

    before = get_current()
    middleware = ASGIMiddleware(app or application, **(options or SOURCES))
    asyncio.run(middleware({"type": kind, "headers": headers}, None, send))
    assert get_current() is before
    return (seen[0] if seen else None), sent


def call_wsgi(headers=HEADERS, app=None, environ=None, **options):
    """Return the ids that the application ran in, and what it gave to the server."""
    seen, sent = [], []

    def application(environ, start_response):
        seen.append(ids())
        start_response("200 OK", [("a", "b")])
        return [b"body"]

    def start_response(status, headers, *error):
        sent.append((status, headers, *error))
        return sent.append

    made = {"HTTP_" + k.decode().upper().replace("-", "_"): v.decode("latin-1") for k, v in headers}
    environ = {"REQUEST_METHOD": "GET", **made, **(environ or {})}
    before = get_current()
    body = WSGIMiddleware(app or application, **(options or SOURCES))(environ, start_response)
    assert get_current() is before
    return (seen[0] if seen else None), sent, body


def asgi_ids(headers=HEADERS, **options):
    return call_asgi(headers, **options)[0]


def wsgi_ids(headers=HEADERS, **options):
    return call_wsgi(headers, **options)[0]


both = pytest.mark.parametrize("ids_in", [asgi_ids, wsgi_ids])
each_class = pytest.mark.parametrize("middleware", [ASGIMiddleware, WSGIMiddleware])


# --- ids ---


@both
def test_the_application_runs_with_the_ids(ids_in):
    assert ids_in() == BOTH
    assert ids_in([]) == (None, None)
    assert ids_in(HEADERS[:1]) == ("chat-42", None)
    assert ids_in(HEADERS[1:]) == (None, "ada")


@both
def test_baggage_is_a_source_of_both_ids(ids_in):
    sources = {"session": from_baggage(), "user": from_baggage()}
    assert ids_in([(b"baggage", b"session.id=chat-42,user.id=ada")], **sources) == BOTH


@both
@pytest.mark.parametrize(("found", "expected"), [("it", "it"), (" it ", "it"), (42, "42")])
def test_any_function_is_a_source(ids_in, found, expected):
    assert ids_in(session=lambda _: found) == (expected, None)


@both
@pytest.mark.parametrize("found", ["", "a\x00b", b"bytes", object(), "x" * 300, ["a", "b"]])
def test_an_invalid_id_is_dropped_and_counted(ids_in, found, dropped):
    assert ids_in(session=lambda _: found) == (None, None)
    assert dropped() == 1


@both
def test_a_header_of_100_kB(ids_in, dropped):  # noqa: N802 - the unit's name
    assert ids_in([(b"x-session-id", b"a" * 100_000), HEADERS[1]]) == (None, "ada")
    assert dropped() == 1


def failing(_request):
    raise ZeroDivisionError


async def failing_later(_request):
    await asyncio.sleep(0)
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("ids_in", "source"), [(asgi_ids, failing), (asgi_ids, failing_later), (wsgi_ids, failing)]
)
def test_a_source_that_raises_is_contained(ids_in, source, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        ids_in(session=source)  # As everything of clew's, under the tests.
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", {"reading the ids of a request"})
    counted = "errors contained while reading the ids of a request"
    before = counters.counted().get(counted, 0)
    assert ids_in(session=source, user=SOURCES["user"]) == (None, "ada")
    assert counters.counted()[counted] == before + 1


def test_an_asynchronous_source():
    async def look_up(scope):
        await asyncio.sleep(0)
        return SOURCES["session"](scope)

    assert asgi_ids(session=look_up) == ("chat-42", None)
    with pytest.raises(ConfigurationError, match="WSGI has no way to await"):
        wsgi_ids(session=look_up)


@each_class
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nowhere to read an id from"),
        ({"session": "x-session-id"}, r'session must be a source, not str: from_header\("x-ses'),
        ({"user": "uid"}, "user must be a source"),
        ({"fresh": True, "response_header": "x y"}, "cannot be the name of a header"),
    ],
)
def test_invalid_arguments_raise(middleware, options, message):
    with pytest.raises(ConfigurationError, match=message):
        middleware(lambda *_: None, **options)


@both
def test_a_middleware_within_another(ids_in):
    with using_session("outer", user_id="bob"):
        assert ids_in(HEADERS[:1]) == ("chat-42", "bob")
        assert ids_in([], **SOURCES, fresh=True) == ("outer", "bob")


# --- fresh ones ---


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_fresh_session_is_in_the_response(kind):
    (session, _), (message,) = call_asgi([], kind, fresh=True)
    assert message["headers"] == [(b"a", b"b"), (b"x-session-id", session.encode())]
    assert len(session) == 32
    other = call_asgi([], kind, fresh=True)[0][0]
    assert other != session


def test_a_fresh_session_is_in_the_response_of_wsgi():
    (session, _), ((_, headers),), _ = call_wsgi([], fresh=True, response_header="X-Chat")
    assert headers == [("a", "b"), ("x-chat", session)]
    assert len(session) == 32


def test_the_clients_session_is_not_in_the_response():
    said, (message,) = call_asgi(**SOURCES, fresh=True)
    assert (said, message["headers"]) == (BOTH, [(b"a", b"b")])
    said, ((_, headers),), _ = call_wsgi(**SOURCES, fresh=True)
    assert (said, headers) == (BOTH, [("a", "b")])


@both
def test_an_invalid_session_is_replaced(ids_in):
    session, _ = ids_in([(b"x-session-id", b"a\x00b")], **SOURCES, fresh=True)
    assert len(session) == 32


def test_the_applications_header_is_kept():
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "headers": [(b"X-Session-Id", b"own")]})
        await send({"type": "http.response.body"})

    _, sent = call_asgi([], app=application, fresh=True)
    assert sent[0]["headers"] == [(b"X-Session-Id", b"own")]
    assert sent[1] == {"type": "http.response.body"}
    own = [("X-Session-ID", "own")]
    _, sent, _ = call_wsgi([], app=lambda _, start: start("200 OK", own) and [], fresh=True)
    assert sent == [("200 OK", own)]


def test_exc_info_is_passed_on():
    error = (ZeroDivisionError, ZeroDivisionError(), None)
    _, sent, _ = call_wsgi([], app=lambda _, start: start("500", [], error) and [], fresh=True)
    assert sent[0][0] == "500"
    assert sent[0][2] is error


# --- ASGI ---


def test_the_lifespan_is_unchanged():
    scopes = []

    async def application(scope, receive, send):
        scopes.append((scope, receive, send, ids()))

    given = ({"type": "lifespan"}, object(), object())
    middleware = ASGIMiddleware(application, session=lambda _: "never", fresh=True)
    asyncio.run(middleware(*given))
    assert scopes == [(*given, (None, None))]


def test_an_abandoned_request_leaves_no_ids(caplog):
    async def application(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        middleware = ASGIMiddleware(application, **SOURCES)
        coroutine = middleware({"type": "http", "headers": HEADERS}, None, None)
        coroutine.send(None)
        return coroutine

    coroutine = asyncio.run(main())
    coroutine.close()
    del coroutine
    gc.collect()
    assert not current()
    assert caplog.records == []


# --- WSGI ---


class Body:
    """Notes the ids at each step."""

    def __init__(self):
        self.seen = []
        self.left = 3

    def __iter__(self):
        self.seen.append(ids())
        return self

    def __next__(self):
        self.seen.append(ids())
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"chunk"

    def close(self):
        self.seen.append(ids())


def test_each_step_of_a_body_is_in_the_session():
    body = Body()
    _, _, wrapped = call_wsgi(app=lambda *_: body)
    iterator = iter(wrapped)
    assert not current()
    for _ in range(3):
        assert next(iterator) == b"chunk"
        assert not current()
    with pytest.raises(StopIteration):
        next(iterator)
    wrapped.close()
    assert not current()
    assert body.seen == [BOTH] * 6


def test_steps_of_a_body_in_several_threads():
    body = Body()
    _, _, wrapped = call_wsgi(app=lambda *_: body)
    for _ in range(3):
        thread = threading.Thread(target=next, args=[wrapped])
        thread.start()
        thread.join()
    wrapped.close()
    assert body.seen == [BOTH] * 5


def test_a_block_in_the_body_does_not_leave_it():
    def application(_environ, start_response):
        with using_session("own"):
            yield ids()
        yield ids()

    _, _, wrapped = call_wsgi(app=application)
    with using_session("the server's"):
        assert list(wrapped) == [("own", "ada"), BOTH]
        assert ids() == ("the server's", None)


def test_a_body_without_close():
    _, _, wrapped = call_wsgi(app=lambda *_: iter([b"a"]))
    assert list(wrapped) == [b"a"]
    wrapped.close()


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",), []])
def test_a_list_or_tuple_is_returned_unchanged(body):
    assert call_wsgi(app=lambda *_: body)[2] is body


def test_the_servers_file_wrapper_is_returned_unchanged():
    from wsgiref.util import FileWrapper

    class File(BytesIO):
        def close(self):
            seen.append(ids())
            super().close()

    seen = []
    environ = {"wsgi.file_wrapper": FileWrapper}
    _, _, body = call_wsgi(app=lambda *_: FileWrapper(File(b"file")), environ=environ)
    assert isinstance(body, FileWrapper)
    assert list(body) == [b"file"]
    body.close()
    assert seen == [BOTH]


def test_write_is_that_of_the_server():
    def application(_environ, start_response):
        write = start_response("200 OK", [])
        write(ids())
        return []

    assert call_wsgi(app=application)[1] == [("200 OK", []), BOTH]


@pytest.mark.parametrize("call", [call_asgi, call_wsgi])
def test_exceptions_of_the_application_are_passed_on(call):
    def application(*_):
        raise LookupError

    with pytest.raises(LookupError):
        call(app=application)
    assert not current()


# --- the span that was opened before ---


@both
def test_the_current_span_gets_the_ids(ids_in, telemetry):
    with telemetry.tracer.start_as_current_span("server"):
        assert ids_in() == BOTH
    (span,) = telemetry.record.spans
    assert (span.session, span.user) == BOTH


@both
def test_ids_of_the_current_span_are_kept(ids_in, telemetry):
    with telemetry.tracer.start_as_current_span("server", attributes={"session.id": "own"}):
        assert ids_in() == BOTH
    (span,) = telemetry.record.spans
    assert (span.session, span.user) == ("own", "ada")


@both
def test_a_span_that_does_not_record(ids_in):
    with use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=False))):
        assert ids_in() == BOTH
    with use_span(INVALID_SPAN):
        assert ids_in() == BOTH
