"""The real ddtrace with DD_TRACE_OTEL_ENABLED, whose context keeps the span and baggage alone."""

from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    not (find_spec("ddtrace") and find_spec("openai")), reason="ddtrace has its own environment"
)

ENVIRONMENT = {
    "DD_TRACE_OTEL_ENABLED": "true",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}

START = """
import ddtrace.auto
from ddtrace.trace import TraceFilter, tracer as datadog
from opentelemetry import context as otel
from opentelemetry import trace
from clew import current, instrument_all, isolated, uninstrument_all, using_session

spans = []

class Collecting(TraceFilter):
    def process_trace(self, found):
        spans.extend(found)  # And nothing is sent.

datadog.configure(trace_processors=[Collecting()])
assert type(otel._RUNTIME_CONTEXT).__name__ == "DDRuntimeContext"
"""

CALLS = """
import openai
from tests.support.providers import ProviderServer

instrument_all()

def ask(server):
    with openai.OpenAI(api_key="k", base_url=server.url + "/v1") as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "q"}])

def ids():
    return [
        (span.get_tag("session.id"), span.get_tag("user.id"))
        for span in spans
        if span.get_tag("openinference.span.kind") == "LLM"
    ]
"""


@pytest.fixture
def run(python, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return lambda code: python(START + code, **ENVIRONMENT)


def test_an_instrumentors_spans_carry_the_ids(run):
    run(
        CALLS
        + """
with ProviderServer() as server:
    with using_session("chat-42", user_id="ada"):
        ask(server)
        with trace.get_tracer("app").start_as_current_span("manual"), using_session("inner"):
            ask(server)
        with datadog.trace("native"):
            ask(server)
        with isolated():
            ask(server)
    ask(server)
expected = [("chat-42", "ada"), ("inner", "ada"), ("chat-42", "ada"), (None, None), (None, None)]
assert ids() == expected, ids()
"""
    )


def test_an_application_with_a_provider_of_the_sdks(run):
    run("""
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
instrument_all(tracer_provider=provider)
with using_session("chat-42", user_id="ada"):
    provider.get_tracer("app").start_span("work").end()
provider.get_tracer("app").start_span("outside").end()
said = [dict(span.attributes) for span in memory.get_finished_spans()]
assert said == [{"session.id": "chat-42", "user.id": "ada"}, {}], said
""")


def test_datadogs_parents_stay_as_they_are(run):
    run("""
instrument_all()
app = trace.get_tracer("app")

@using_session("chat-42")
def steps():
    while True:
        yield current().session_id

with app.start_as_current_span("outer"):
    made = steps()
    with app.start_as_current_span("consumer"):
        assert [next(made), next(made)] == ["chat-42", "chat-42"]
        with datadog.trace("native"):
            with using_session("another"), app.start_as_current_span("inner"):
                pass
    with app.start_as_current_span("second"):
        pass
assert datadog.current_span() is None
named = {span.span_id: span.resource for span in spans}
parents = {span.resource: named.get(span.parent_id) for span in spans}
assert parents == {
    "outer": None, "consumer": "outer", "native": "consumer", "inner": "native", "second": "outer",
}, parents
""")


def test_uninstrument_all_restores_datadogs_context(run):
    run("""
instrument_all()
with using_session("chat-42"):
    assert current().session_id == "chat-42"
uninstrument_all()
assert type(otel._RUNTIME_CONTEXT).__name__ == "DDRuntimeContext"
with using_session("chat-42"):
    assert not current()
""")
