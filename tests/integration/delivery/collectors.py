"""Collectors on loopback that answer, are slow, hang, or answer with an error."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import spans_of
from tests.support.http_receiver import read_body
from tests.support.server_thread import serving

SLOW = 0.4
"""Seconds that a slow collector takes to answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Collector"

    def do_POST(self) -> None:
        body = read_body(self)
        self.server.request_received.set()
        if self.server.behaviour == "hanging":
            self.server.closing.wait()
            return
        if self.server.behaviour == "slow":
            self.server.closing.wait(SLOW)
        if self.server.behaviour in {"live", "slow"}:
            self.server.receive(ExportTraceServiceRequest.FromString(body))
        status = 200 if self.server.behaviour in {"live", "slow"} else int(self.server.behaviour)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Collector(ThreadingHTTPServer):
    """Counts the spans that it received, by name."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behaviour: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = behaviour
        self.closing, self.request_received = Event(), Event()
        self.names: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def receive(self, export: ExportTraceServiceRequest) -> None:
        self.names.update(span.name for span in spans_of([export]))

    def handle_error(self, *_: object) -> None:
        """Log nothing: an exporter that does not wait has closed its connection."""


@contextmanager
def collecting(behaviour: str) -> Iterator[Collector]:
    """Run a collector: ``live``, ``slow``, ``hanging``, or the status that it answers with."""
    with serving(Collector(behaviour)) as server:
        try:
            yield server
        finally:
            server.closing.set()


@contextmanager
def unused_port() -> Iterator[str]:
    """Bind a port on which nothing listens; yield its URL."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
