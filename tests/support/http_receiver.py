"""An HTTP server on loopback that keeps every request that it receives."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.server_thread import serving


@dataclass(frozen=True)
class Request:
    """A request that was received: `body` without transfer encoding and compression."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpReceiver:
    """Receives requests at ``url`` while its block is open, and answers each with ``{}``."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.requests))
        self._serving = serving(server)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def __enter__(self) -> Self:
        self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, requests: list[Request], *args: Any) -> None:
        self._requests = requests
        super().__init__(*args)

    def do_POST(self) -> None:
        body = read_body(self)
        self._requests.append(Request(self.path, dict(self.headers.items()), body))
        self.do_GET()

    do_PUT = do_POST

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """Return the body of the request that *handler* handles, decompressed."""
    if handler.headers.get("transfer-encoding") == "chunked":  # Node's exporter sends chunks.
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size + len("\r\n"))[:size]
        handler.rfile.readline()
    else:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
    return gzip.decompress(body) if handler.headers.get("content-encoding") == "gzip" else body
