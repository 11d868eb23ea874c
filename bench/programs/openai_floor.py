"""The floor: the least code that traces the application in the same way.

The OpenTelemetry SDK, its OTLP/HTTP exporter, and one post-import hook for the one framework that
is imported: what a person who knows the application's imports would write by hand.
"""

import sys
from types import ModuleType

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from wrapt import register_post_import_hook

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


def activate(_openai: ModuleType) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)


register_post_import_hook(activate, "openai")

from openai import OpenAI  # The hook comes first

client = OpenAI(api_key="none")
sys.exit(None if hasattr(OpenAI.request, "__wrapped__") else "openai is not traced")
