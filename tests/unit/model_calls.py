"""Starts spans as the instrumentors of several frameworks do for one model call."""

from openinference.instrumentation import OITracer, TraceConfig
from opentelemetry.trace import set_span_in_context

from clew.spans.tracer_provider import ClewTracerProvider
from tests.unit.conftest import Telemetry

KIND, TOKENS = "openinference.span.kind", "llm.token_count."
TEMPLATE = "llm.prompt_template.template"
NAMES = ("prompt", "completion", "total", "prompt_details.cache_read")


class Frameworks:
    """The tracers of instrumentors, as `instrument_all` gives them to these."""

    def __init__(self, **options):
        self.telemetry = Telemetry(**options)
        self.provider = ClewTracerProvider(self.telemetry.provider)

    def start(self, framework, name, inside=None, config=None, **attributes):
        real = self.provider.get_tracer(f"openinference.instrumentation.{framework}")
        tracer = OITracer(real, config or TraceConfig())
        context = None if inside is None else set_span_in_context(inside)
        return tracer.start_span(name, context=context, attributes=attributes)

    def llm(self, framework, name, inside=None, **options):
        return self.start(framework, name, inside, **options, **{KIND: "LLM"})

    def finished(self):
        """Return the kind and the token counts of each span by its name."""
        return {
            span.name: (
                span.attributes.get(KIND),
                *(span.attributes.get(TOKENS + name) for name in NAMES),
            )
            for span in self.telemetry.exporter.get_finished_spans()
        }

    def attributes(self, name):
        spans = self.telemetry.exporter.get_finished_spans()
        return next(span.attributes for span in spans if span.name == name)


def spend(span, prompt, completion, cached=None):
    span.set_attributes({TOKENS + "prompt": prompt, TOKENS + "completion": completion})
    span.set_attribute(TOKENS + "total", prompt + completion)
    if cached is not None:
        span.set_attribute(TOKENS + "prompt_details.cache_read", cached)
