"""Tracer providers of other makes: clew joins them."""


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
