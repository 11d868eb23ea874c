"""The variables in docs/backends.md send requests to the path and with the headers they name."""

import re
from urllib.parse import unquote, urlsplit

import pytest

from tests.release.docs.blocks import blocks
from tests.support.http_receiver import HttpReceiver

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
    """Yield the variables of each block for HTTP; one without an endpoint adds to those before."""
    settings = {}
    for block in blocks(PAGE):
        if block.language != "shell" or "grpc" in block.code:
            continue
        exported = dict(re.findall(r'export (OTEL_\w+)="?([^\s"#]+)', block.code))
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in exported:
            settings = exported
        elif "OTEL_EXPORTER_OTLP_HEADERS" in exported:
            settings = settings | exported
        else:
            continue
        yield pytest.param(settings, id=str(block))


@pytest.fixture
def collector():
    with HttpReceiver() as receiver:
        yield receiver


@pytest.mark.slow
@pytest.mark.parametrize("settings", list(configurations()))
def test_requests_have_the_path_and_headers_of_the_page(run, collector, settings):
    path = urlsplit(settings["OTEL_EXPORTER_OTLP_ENDPOINT"]).path
    expected = settings.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    expected = re.sub(r"\$\{(\w+)}", lambda match: SECRETS[match[1]], expected)
    environment = settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + path}
    if expected:
        environment["OTEL_EXPORTER_OTLP_HEADERS"] = expected
    run("-c", APP, **environment)
    (request,) = collector.requests
    assert request.path == f"{path}/v1/traces"
    assert b"chat-42" in request.body
    assert b"ada" in request.body
    sent = {name.lower(): value for name, value in request.headers.items()}
    for header in filter(None, expected.split(",")):
        name, _, value = header.partition("=")
        assert sent[name.lower()] == unquote(value)
