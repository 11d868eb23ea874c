"""A server on loopback that remembers the headers of every request, and redirects on request."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.background import serving


@dataclass
class Seen:
    """One request: the host that the client believed to call, and all headers as they came."""

    host: str
    path: str
    headers: list[tuple[str, str]]

    @property
    def baggage(self):
        """The baggage headers, as a receiver has to join them."""
        found = [value for name, value in self.headers if name.lower() == "baggage"]
        assert len(found) < 2, found
        return found[0] if found else None


@dataclass
class Listener:
    port: int
    seen: list[Seen] = field(default_factory=list)

    def url(self, host="api.mine.example", path="/"):
        return f"http://{host}:{self.port}{path}"

    @property
    def last(self):
        return self.seen[-1]

    def told(self):
        """What each host was told, in the order of the requests."""
        return [(it.host, it.baggage) for it in self.seen]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        host = (self.headers.get("host") or "").rpartition(":")[0]
        seen = Seen(host, parts.path, list(self.headers.items()))
        self.server.listener.seen.append(seen)
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
