"""A server on loopback with the part of AWS Lambda's Runtime API that a function needs."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Event
from time import time
from typing import Any

from tests.support.server_thread import serving

_PREFIX = "/2018-06-01/runtime"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Runtime"

    def do_GET(self) -> None:
        number = self.server.requested
        self.server.requested += 1
        if number >= len(self.server.events):
            self.server.done.set()
            self.server.closing.wait()  # The function is frozen from here on.
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": str(number),
            "Lambda-Runtime-Deadline-Ms": str(int(time() * 1000) + 30_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:served",
            "Content-Type": "application/json",
        }
        self._answer(200, json.dumps(self.server.events[number]).encode(), headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        kind = self.path.removeprefix(_PREFIX).rpartition("/")[2]
        self.server.answers.put((kind, json.loads(body), self.server.seen()))
        self._answer(202, b"", {})
        if "/init/" in self.path:
            self.server.done.set()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Runtime(ThreadingHTTPServer):
    """Serves *events*, and keeps each answer with the result of *seen* at that moment."""

    daemon_threads = True

    def __init__(self, events: Sequence[Any], seen: Callable[[], Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events, self.seen = events, seen
        self.requested = 0
        self.answers: SimpleQueue[tuple[str, Any, Any]] = SimpleQueue()
        self.done, self.closing = Event(), Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def serve_events(events: Sequence[Any], seen: Callable[[], Any]) -> Iterator[Runtime]:
    with serving(Runtime(events, seen)) as server:
        try:
            yield server
        finally:
            server.closing.set()
