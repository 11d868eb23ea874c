"""What was traced: for the programs that contract tests run in interpreters of their own."""

import logging

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from tests.providers import Usage

_PREFIX = "llm.token_count."


class Recorder(SpanProcessor):
    """Keeps every span from its start on, and every complaint of OpenTelemetry's."""

    def __init__(self):
        self.spans, self.ends, self.said = [], [], []
        trace.set_tracer_provider(TracerProvider())
        trace.get_tracer_provider().add_span_processor(self)
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.said.append(record.getMessage())
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
        """Return the spans of models."""
        return [it for it in self.spans if it.attributes.get("openinference.span.kind") == "LLM"]

    def tokens(self):
        """Return the sum of what the spans of models say."""
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
