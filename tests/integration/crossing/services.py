"""Services on loopback, instrumented as users do it, and a client that is not instrumented."""

import http.client
import threading
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from tests.support.server_thread import serving


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def wsgi(handle, provider, around, within):
    """Serve with OpenTelemetry's WSGI middleware, and the application's own around or within it."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.wsgi")

    def app(environ, start_response):
        handle()
        start_response("204 No Content", [])
        return [b""]

    app = within(app)
    app = around(instrumentation.OpenTelemetryMiddleware(app, tracer_provider=provider))
    server = make_server("127.0.0.1", 0, app, WSGIServer, _QuietHandler)
    with serving(server):
        yield server.server_address[1]


@contextmanager
def asgi(handle, provider, around, within):
    """Do the same for ASGI, by uvicorn."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.asgi")
    uvicorn = pytest.importorskip("uvicorn")

    async def app(scope, receive, send):
        handle()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = within(app)
    app = around(instrumentation.OpenTelemetryMiddleware(app, tracer_provider=provider))
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none")
    listening = config.bind_socket()
    listening.listen()  # From now on, requests wait to be accepted.
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


SERVICES = {"asgi": asgi, "wsgi": wsgi}


def send_request(port, *headers):
    """Send a request with exactly these headers, which may be malformed; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest("GET", "/", skip_accept_encoding=True)
        for name, value in headers:
            raw = value.encode() if isinstance(value, str) else value
            connection._buffer.append(name.encode() + b": " + raw)
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
