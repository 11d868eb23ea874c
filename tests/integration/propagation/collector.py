"""An OTLP/HTTP collector on loopback, which keeps connections open as collectors do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.integration.propagation.span_counts import Count, SpanRecord, count_spans
from tests.support.collector import spans_of
from tests.support.http_receiver import read_body
from tests.support.server_thread import serving


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Collector"

    def do_POST(self) -> None:
        body = read_body(self)
        try:
            export = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            self.server.corrupt += 1
        else:
            self.server.seen += map(_record, spans_of([export]))
            self.server.connections.add(self.client_address)
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Collector(ThreadingHTTPServer):
    """The spans that were received, and the requests that could not be read."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[SpanRecord] = []
        self.corrupt = 0
        self.connections: set[Any] = set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str) -> list[SpanRecord]:
        """Return the spans of this *name*."""
        return [span for span in self.seen if span.name == name]

    def count(self) -> Count:
        """Compare the ids and parents of the spans with those that they say they should have."""
        assert self.corrupt == 0
        return count_spans(self.seen)

    def handle_error(self, *_: object) -> None:
        # A process that was terminated does not close its connection.
        self.corrupt += not isinstance(sys.exc_info()[1], ConnectionError)


def _record(span: Any) -> SpanRecord:
    return SpanRecord(
        span.name,
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_id.hex(),
        {pair.key: _value(pair.value) for pair in span.attributes},
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(map(_value, value.array_value.values))
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    with serving(Collector()) as server:
        yield server
