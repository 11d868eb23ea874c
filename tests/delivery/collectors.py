"""Collectors on loopback, in every mood that a collector can be in."""

import gzip
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.background import serving

SLOW = 0.4
"""Seconds that a slow one takes to answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Collector"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.set()
        if self.server.mood == "hanging":
            self.server.closing.wait()
            return
        if self.server.mood == "slow":
            self.server.closing.wait(SLOW)
        if self.server.mood in {"live", "slow"}:
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.server.took(ExportTraceServiceRequest.FromString(body))
        status = 200 if self.server.mood in {"live", "slow"} else int(self.server.mood)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Collector(ThreadingHTTPServer):
    """What has arrived, by the names of the spans."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, mood: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood = mood
        self.closing, self.asked = Event(), Event()
        self.names: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def took(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names.update(span.name for span in scope.spans)

    def handle_error(self, *_: object) -> None:
        """Say nothing: who does not wait for an answer is gone when it comes."""


@contextmanager
def collecting(mood: str) -> Iterator[Collector]:
    """Run a collector: ``live``, ``slow``, ``hanging``, or the status that it answers with."""
    with serving(Collector(mood)) as server:
        try:
            yield server
        finally:
            server.closing.set()


@contextmanager
def refusing() -> Iterator[str]:
    """Hold a port where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody.getsockname()[1]}"
