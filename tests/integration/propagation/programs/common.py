"""The instrumented application; each program imports it, and so do its spawned children."""

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from clew import instrument_all, using_session
from tests.integration.propagation.span_counts import NOBODY, make_spans

if os.environ.get("PROVIDER") == "of the application":
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
elif os.environ.get("PROVIDER") == "at once":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
instrument_all()
tracer = trace.get_tracer("application")

ADA = ("chat-1", "ada")
BOB = ("chat-2", "bob")
JOBS = 0
"""How many times spans were made, by this process or for it."""


def answer(who=NOBODY, parent=""):
    """Make two spans in the current context."""
    make_spans(tracer, who, parent)
    return os.getpid()


def as_session(who):
    return using_session(who[0], user_id=who[1])


def caller():
    return tracer.start_as_current_span("caller")
