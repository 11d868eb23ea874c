"""Ids in another product's runtime context, which keeps only the current span."""

import pytest

ONLY_SPANS = '''
from contextvars import ContextVar

from opentelemetry.context import Context


class OnlySpans:
    """Keeps only the current span, as Datadog's does: until it ends, whatever is detached."""

    def __init__(self):
        self.spans = ContextVar("spans", default=())

    def attach(self, context):
        from opentelemetry.trace import INVALID_SPAN, get_current_span

        if (span := get_current_span(context)) is not INVALID_SPAN:
            self.spans.set((*self.spans.get(), span))
        return object()

    def get_current(self):
        from opentelemetry.trace import set_span_in_context

        open_ones = [span for span in self.spans.get() if span.is_recording()]
        return set_span_in_context(open_ones[-1], Context()) if open_ones else Context()

    def detach(self, token):
        pass

    def other_method(self):
        return "this"
'''

START = """
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from clew import current, instrument_all, isolated, uninstrument_all, using_session

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")
runtime = otel._RUNTIME_CONTEXT
assert type(runtime).__name__ == "OnlySpans"
instrument_all()

def ids(start=tracer.start_span):
    start("work").end()
    attributes = memory.get_finished_spans()[-1].attributes
    return attributes.get("session.id"), attributes.get("user.id")
"""


@pytest.fixture
def run(python, tmp_path):
    """Run code where OTEL_PYTHON_CONTEXT names the runtime context above."""
    (tmp_path / "only_spans.py").write_text(ONLY_SPANS)
    package = tmp_path / "only_spans-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: only-spans\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[opentelemetry_context]\nonly_spans = only_spans:OnlySpans\n"
    )

    def run(code):
        return python(START + code, OTEL_PYTHON_CONTEXT="only_spans")

    return run


def test_blocks_set_the_ids_and_end(run):
    run("""
with using_session("outer", user_id="ada"):
    assert ids() == ("outer", "ada")
    with tracer.start_as_current_span("parent"), using_session("inner"):
        assert ids() == ("inner", "ada")
    with isolated():
        assert ids() == (None, None)
    assert ids() == ("outer", "ada")
    assert current().session_id == "outer"
assert ids() == (None, None)
""")


def test_blocks_of_openinference_set_the_ids(run):
    run("""
from openinference.instrumentation import using_session as upstream
with upstream("theirs"):
    assert ids() == ("theirs", None)
    with using_session("ours"):
        assert ids() == ("ours", None)
    assert ids() == ("theirs", None)
assert ids() == (None, None)
""")


def test_tasks_and_threads_have_their_own_ids(run):
    run("""
import asyncio
from concurrent.futures import ThreadPoolExecutor

async def one(name):
    with using_session(name):
        await asyncio.sleep(0)
        return current().session_id

async def many():
    return await asyncio.gather(*(one(f"chat-{number}") for number in range(20)))

expected = [f"chat-{number}" for number in range(20)]
assert asyncio.run(many()) == expected
assert not current()
with ThreadPoolExecutor(4) as pool:
    for name in expected:
        with using_session(name):
            assert pool.submit(lambda: current().session_id).result() == name
    assert not pool.submit(current).result()
""")


def test_the_consumer_of_a_generator_keeps_its_span(run):
    run("""
@using_session("chat-42")
def steps():
    while True:
        yield ids()[0]

with tracer.start_as_current_span("made here"):
    made = steps()
    with tracer.start_as_current_span("consumer") as consumer:
        assert [next(made), next(made)] == ["chat-42", "chat-42"]
        assert trace.get_current_span() is consumer
        assert ids() == (None, None)
""")


def test_other_keys_are_dropped_as_before(run):
    run("""
token = otel.attach(otel.set_value("somebody's", 1))
assert otel.get_value("somebody's") is None
otel.detach(token)
""")


def test_undo_restores_the_runtime_context(run):
    run("""
token = None
for _ in range(3):
    assert otel._RUNTIME_CONTEXT is not runtime
    assert otel._RUNTIME_CONTEXT.other_method() == "this"
    assert otel._RUNTIME_CONTEXT.original is runtime
    uninstrument_all()
    assert otel._RUNTIME_CONTEXT is runtime
    with using_session("chat-42"):
        assert ids() == (None, None)
    token = otel.attach(otel.Context())
    instrument_all()
    otel.detach(token)
    with using_session("chat-42"):
        assert ids() == ("chat-42", None)
""")


def test_a_runtime_context_that_keeps_everything_is_unchanged(python):
    python("""
        from opentelemetry import context as otel
        from clew import instrument_all
        runtime, before = otel._RUNTIME_CONTEXT, otel.get_current()
        instrument_all()
        assert otel._RUNTIME_CONTEXT is runtime
        assert otel.get_current() is before
    """)
