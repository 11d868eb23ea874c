"""A Python service that answers requests, sends requests in a session, and returns its spans."""

import json
import sys
import threading
from contextlib import nullcontext
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import instrument_all, using_attributes


class OpenSpans(SpanProcessor):
    """Counts the spans that have not ended: a response may arrive before its span has."""

    def __init__(self):
        self.count = 0
        self.changed = threading.Condition()

    def on_start(self, span, parent_context=None):
        self._change(1)

    def on_end(self, span):
        self._change(-1)

    def _change(self, by):
        with self.changed:
            self.count += by
            self.changed.notify_all()

    def wait(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.count == 0, timeout=20)


exporter = InMemorySpanExporter()
open_spans = OpenSpans()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
provider.add_span_processor(open_spans)
trace.set_tracer_provider(provider)
instrument_all()
HTTPXClientInstrumentor().instrument()
tracer = trace.get_tracer("service")


def ask(to, session="", user=""):
    block = using_attributes(session_id=session, user_id=user) if session else nullcontext()
    with block, tracer.start_as_current_span("python asks"), httpx.Client(trust_env=False) as it:
        it.get(to).raise_for_status()


def answer(environ, start_response):
    if environ["PATH_INFO"] == "/ask":
        ask(**{key: value[0] for key, value in parse_qs(environ["QUERY_STRING"]).items()})
    else:
        tracer.start_span("python answers").end()
    start_response("200 OK", [])
    return [b""]


def show(environ, start_response):
    open_spans.wait()
    spans = [
        {
            "name": span.name,
            "trace": f"{span.context.trace_id:032x}",
            "session": span.attributes.get("session.id"),
            "user": span.attributes.get("user.id"),
        }
        for span in exporter.get_finished_spans()
    ]
    exporter.clear()
    start_response("200 OK", [])
    return [json.dumps(spans).encode()]


traced = OpenTelemetryMiddleware(answer)


def app(environ, start_response):
    handle = show if environ["PATH_INFO"] == "/spans" else traced
    return handle(environ, start_response)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


server = make_server("127.0.0.1", 0, app, Server, Quiet)
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
