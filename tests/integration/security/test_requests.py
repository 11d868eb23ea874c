"""A hostile ``x-session-id``, ``baggage`` or cookie makes no session, and raises no error."""

import asyncio

import pytest

from clew import current
from clew.web import asgi, from_baggage, from_cookie, from_header, wsgi
from tests.integration.security.hostile_headers import INVALID_HEADERS, LONG, UNITS, header

SOURCES = {
    "x-session-id": from_header("x-session-id"),
    "baggage": from_baggage(),
    "cookie": from_cookie("session.id"),
}


def by_asgi(name, value, **options):
    """Return the session that the application sees, and the headers of the response."""
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(current().session_id)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.extend(message["headers"])

    raw = value.encode("utf-8", "surrogatepass")
    scope = {"type": "http", "headers": [(name.encode(), raw)]}
    asyncio.run(asgi.SessionMiddleware(app, **options)(scope, None, send))
    return seen[0], [(key.decode(), value.decode()) for key, value in sent]


def by_wsgi(name, value, **options):
    seen, sent = [], []

    def app(environ, start_response):
        seen.append(current().session_id)
        start_response("200 OK", [])
        return []

    key = "HTTP_" + name.upper().replace("-", "_")
    raw = value.encode("utf-8", "surrogatepass").decode("latin-1")
    environ = {"REQUEST_METHOD": "GET", key: raw}
    list(wsgi.SessionMiddleware(app, **options)(environ, lambda _, headers: sent.extend(headers)))
    return seen[0], sent


each_protocol = pytest.mark.parametrize("ask", [by_asgi, by_wsgi])
each_header = pytest.mark.parametrize("name", SOURCES)


def as_sent(name, value):
    return value.removeprefix("session.id=") if name == "x-session-id" else value


@each_protocol
@each_header
@pytest.mark.parametrize("unit", UNITS)
def test_a_long_value_makes_no_session(ask, name, unit):
    seen, sent = ask(name, as_sent(name, header(unit)), session=SOURCES[name])
    assert seen is None
    assert sent == []


@each_protocol
@each_header
@pytest.mark.parametrize("unit", UNITS)
def test_the_time_is_linear(ask, name, unit, is_linear):
    is_linear(lambda size: ask(name, as_sent(name, header(unit, size)), session=SOURCES[name]))


@each_protocol
@pytest.mark.parametrize(
    "value", ["a\r\nset-cookie: b", "a\x00b", "\x1b[31m", "\ufeff" * LONG, "\x7f"]
)
def test_no_value_of_the_client_is_in_the_response(ask, value):
    """A session that is made for a request has an id made by the server."""
    session = SOURCES["x-session-id"]
    seen, sent = ask("x-session-id", value, session=session, fresh=True)
    assert sent == [("x-session-id", seen)]
    assert len(seen) == 32
    assert seen.isalnum()


@each_protocol
@pytest.mark.parametrize("value", INVALID_HEADERS)
def test_an_invalid_id_is_dropped(ask, value):
    assert ask("baggage", value, session=from_baggage())[0] is None
