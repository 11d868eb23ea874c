"""What the page on backends tells to set makes requests leave as it says."""

import http.server
import re
from urllib.parse import unquote, urlsplit

import pytest

from tests.background import serving
from tests.docs.blocks import blocks

PAGE = "docs/backends.md"
APP = """
from clew import instrument_all, using_session
from opentelemetry import trace

instrument_all()
with using_session("chat-42", user_id="ada"):
    trace.get_tracer("app").start_span("work").end()
assert trace.get_tracer_provider().force_flush()
"""
SECRETS = {
    "PHOENIX_API_KEY": "p",
    "ARIZE_SPACE_ID": "s",
    "ARIZE_API_KEY": "a",
    "LANGFUSE_AUTH": "l",
}


def configurations():
    """Yield what each block over HTTP exports; one without an endpoint adds to that before it."""
    settings = {}
    for block in blocks(PAGE):
        if block.language != "shell" or "grpc" in block.code:
            continue
        said = dict(re.findall(r'export (OTEL_\w+)="?([^\s"#]+)', block.code))
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in said:
            settings = said
        elif "OTEL_EXPORTER_OTLP_HEADERS" in said:
            settings = settings | said
        else:
            continue
        yield pytest.param(settings, id=str(block))


@pytest.fixture
def collector():
    received = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):  # Http.server's name
            pass

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)) as server:
        yield f"http://127.0.0.1:{server.server_port}", received


@pytest.mark.slow
@pytest.mark.parametrize("settings", list(configurations()))
def test_requests_leave_as_the_page_says(run, collector, settings):
    url, received = collector
    path = urlsplit(settings["OTEL_EXPORTER_OTLP_ENDPOINT"]).path
    said = re.sub(
        r"\$\{(\w+)}", lambda it: SECRETS[it[1]], settings.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    )
    environment = settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": url + path}
    if said:
        environment["OTEL_EXPORTER_OTLP_HEADERS"] = said
    run("-c", APP, **environment)
    ((where, headers, body),) = received
    assert where == f"{path}/v1/traces"
    assert b"chat-42" in body
    assert b"ada" in body
    sent = {name.lower(): value for name, value in headers.items()}
    for header in filter(None, said.split(",")):
        name, _, value = header.partition("=")
        assert sent[name.lower()] == unquote(value)
