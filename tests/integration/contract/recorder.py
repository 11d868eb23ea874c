"""Records spans in the programs that contract tests run in new interpreters."""

import logging

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from tests.support.providers import Usage

_PREFIX = "llm.token_count."


class Recorder(SpanProcessor):
    """Keeps every span that starts, and every warning of OpenTelemetry and OpenInference."""

    def __init__(self):
        self.spans, self.ends, self.warnings = [], [], []
        trace.set_tracer_provider(TracerProvider())
        trace.get_tracer_provider().add_span_processor(self)
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.warnings.append(record.getMessage())
        for name in ("opentelemetry", "openinference"):
            logging.getLogger(name).addHandler(handler)

    def on_start(self, span, parent_context=None):
        self.spans.append(span)

    def on_end(self, span):
        self.ends.append(span.name)

    def clear(self):
        self.spans.clear()
        self.ends.clear()

    def open(self):
        return [span.name for span in self.spans if span.end_time is None]

    def names(self):
        return sorted(span.name for span in self.spans)

    def models(self):
        """Return the LLM spans."""
        return [it for it in self.spans if it.attributes.get("openinference.span.kind") == "LLM"]

    def tokens(self):
        """Return the sum of the token counts of the LLM spans."""
        counts = [
            [
                span.attributes.get(_PREFIX + name, 0)
                for name in (
                    *("prompt", "completion", "total"),
                    *("prompt_details.cache_read", "completion_details.reasoning"),
                )
            ]
            for span in self.models()
        ]
        return Usage(*map(sum, zip(*counts, strict=True))) if counts else Usage()
