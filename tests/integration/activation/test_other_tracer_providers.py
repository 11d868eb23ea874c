"""clew adds its processor to other products' tracer providers, and logs one set too late."""

import pytest


def test_a_provider_that_compares_by_value(python):
    """Logfire's is a dataclass, and has no hash."""
    python("""
        import dataclasses
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from clew import instrument_all, uninstrument_all, using_session

        @dataclasses.dataclass
        class Proxy(trace.TracerProvider):
            inner: TracerProvider

            def get_tracer(self, *arguments, **named):
                return self.inner.get_tracer(*arguments, **named)

            def add_span_processor(self, processor):
                self.inner.add_span_processor(processor)

            def force_flush(self):
                return self.inner.force_flush()

        memory = InMemorySpanExporter()
        provider = Proxy(TracerProvider())
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)

        def ids():
            with using_session("chat-42"):
                trace.get_tracer("app").start_span("work").end()
            (span,) = memory.get_finished_spans()
            memory.clear()
            return span.attributes.get("session.id")

        for _ in range(2):
            instrument_all()
            assert ids() == "chat-42"
            uninstrument_all()
            assert ids() is None
    """)


def test_a_provider_that_drops_its_processor_when_another_is_added(python):
    """Phoenix's does: it shuts its default processor down, so putting that back would not help."""
    python("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from clew import instrument_all, using_session

        class Replacing(TracerProvider):
            def add_span_processor(self, processor):
                self._active_span_processor.shutdown()
                self._active_span_processor._span_processors = ()
                super().add_span_processor(processor)

        memory = InMemorySpanExporter()
        provider = Replacing()
        provider.add_span_processor(BatchSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        instrument_all()
        with using_session("chat-42"):
            trace.get_tracer("app").start_span("work").end()
        provider.force_flush()
        (span,) = memory.get_finished_spans()
        assert span.attributes["session.id"] == "chat-42"
    """)


def test_a_provider_that_delegates_to_another(python):
    """The SDK's own method would add to processors that never get the spans."""
    python("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from clew import instrument_all, using_session

        class Delegating(TracerProvider):
            def __init__(self):
                super().__init__()
                self.inner = TracerProvider()

            def get_tracer(self, *arguments, **named):
                return self.inner.get_tracer(*arguments, **named)

            def add_span_processor(self, processor):
                self.inner.add_span_processor(processor)

        memory = InMemorySpanExporter()
        provider = Delegating()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        instrument_all()
        with using_session("chat-42"):
            trace.get_tracer("app").start_span("work").end()
        (span,) = memory.get_finished_spans()
        assert span.attributes["session.id"] == "chat-42"
    """)


def test_a_provider_that_is_set_later_is_logged(python):
    python("""
        import logging
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import set_tracer_provider  # As products do: bound before.
        from clew import instrument_all, uninstrument_all

        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())
        logging.getLogger("clew").addHandler(handler)
        untouched = trace._set_tracer_provider

        for _ in range(2):
            instrument_all()
            lines.clear()
            set_tracer_provider(TracerProvider())
            (line,) = lines
            assert "opentelemetry.sdk.trace.TracerProvider" in line, line
            assert "by __main__" in line, line
            assert "before instrument_all()" in line, line
            lines.clear()
            set_tracer_provider(trace.get_tracer_provider())
            assert lines == []
            uninstrument_all()
            assert trace._set_tracer_provider is untouched
    """)


def test_the_log_names_the_module_that_sets_a_provider_later(python, tmp_path):
    (tmp_path / "product.py").write_text("""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
def set_up():
    trace.set_tracer_provider(TracerProvider())
""")
    done = python("""
        import product
        from clew import instrument_all

        instrument_all()
        product.set_up()
    """)
    assert "by product, after instrument_all()" in done.stderr


REPLACED = """
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from clew import instrument_all, uninstrument_all
from tests.support.providers import ProviderServer

def ask(times=1):
    with ProviderServer() as server, openai.OpenAI(base_url=server.openai_url, api_key="k") as it:
        for _ in range(times):
            it.chat.completions.create(model="m", messages=[{"role": "user", "content": "q"}])
"""


@pytest.fixture
def replaced(python, monkeypatch, request):
    pytest.importorskip("openai")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    return lambda code: python(REPLACED + code).stderr.count("took the place of the tracer pro")


def test_a_provider_that_replaces_clews_is_logged_once(replaced):
    """MLflow replaces the global one in this way, without OpenTelemetry's function."""
    assert replaced("instrument_all()\ntrace._TRACER_PROVIDER = TracerProvider()\nask(2)") == 1


@pytest.mark.parametrize(
    "code",
    [
        "instrument_all()\nask()",
        "trace.set_tracer_provider(TracerProvider())\ninstrument_all()\nask()",
        (
            "instrument_all()\nuninstrument_all()\ntrace._TRACER_PROVIDER = TracerProvider()\n"
            "instrument_all()\nask()"
        ),
    ],
)
def test_nothing_is_logged_where_none_is_replaced(replaced, code):
    assert replaced(code) == 0


def test_stats_say_that_the_applications_own_exporters_are_not_counted(python):
    python("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from clew import instrument_all, stats

        trace.set_tracer_provider(TracerProvider())
        instrument_all()
        trace.get_tracer("app").start_span("work").end()
        assert not stats().counts_exports
        assert str(stats()).startswith("spans exported: not known"), str(stats())
    """)
