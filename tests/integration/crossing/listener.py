"""A server on loopback that remembers the headers of every request, and redirects on request."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.server_thread import serving


@dataclass
class Request:
    """One request: the host that the client named, and all headers as they were received."""

    host: str
    path: str
    headers: list[tuple[str, str]]

    @property
    def baggage(self):
        """The value of the baggage header; None where there is none."""
        values = [value for name, value in self.headers if name.lower() == "baggage"]
        assert len(values) < 2, values
        return values[0] if values else None


@dataclass
class Listener:
    """The requests that the server has received."""

    port: int
    requests: list[Request] = field(default_factory=list)

    def url(self, host="api.mine.example", path="/"):
        return f"http://{host}:{self.port}{path}"

    @property
    def last(self):
        return self.requests[-1]

    def received(self):
        """Return the host and the baggage header of each request, in order."""
        return [(request.host, request.baggage) for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        host = (self.headers.get("host") or "").rpartition(":")[0]
        request = Request(host, parts.path, list(self.headers.items()))
        self.server.listener.requests.append(request)
        target = parse_qs(parts.query).get("to")
        self.send_response(307 if target else 200)
        if target:
            self.send_header("location", target[0])
        self.send_header("content-length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


@contextmanager
def listening():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.listener = Listener(server.server_address[1])
    with serving(server):
        yield server.listener
