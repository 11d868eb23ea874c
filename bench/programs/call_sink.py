"""A collector that accepts OTLP over HTTP on any path.

``GET /spans`` returns, as JSON, the attributes of the spans received since the last ``GET``. After
``GET /stop`` it keeps no more spans. It writes its address to standard output, and ends when its
standard input is closed.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    kept: ClassVar[list[tuple[bytes, str | None]]] = []
    keeping = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if Handler.keeping:
            Handler.kept.append((body, self.headers["content-encoding"]))
        self.answer(b"")

    def do_GET(self) -> None:
        kept, Handler.kept = Handler.kept, []
        if self.path == "/stop":
            Handler.keeping = False
        self.answer(json.dumps([span for request in kept for span in spans(*request)]).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def spans(body: bytes, encoding: str | None) -> list[dict[str, str]]:
    body = gzip.decompress(body) if encoding == "gzip" else body
    return [
        {attribute.key: attribute.value.string_value for attribute in span.attributes}
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps(f"http://127.0.0.1:{server.server_port}"), flush=True)
sys.stdin.read()
