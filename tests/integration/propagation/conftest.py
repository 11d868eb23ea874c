"""Fixtures: a tracer provider with clew's processor, instrumented threads, and programs to run."""

import os
import sys
from pathlib import Path

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew.patching.undo import UndoStack
from clew.propagation.threads import instrument_threads
from clew.spans.processor import IdentityProcessor
from tests.integration.propagation.collector import collecting
from tests.integration.propagation.span_counts import SpanRecord, count_spans
from tests.support.commands import run_command

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[3]


class Telemetry:
    """A tracer, and the spans that it has finished."""

    def __init__(self):
        provider = TracerProvider(shutdown_on_exit=False)
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(IdentityProcessor())
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("application")

    def count(self):
        return count_spans(
            SpanRecord(
                span.name,
                f"{span.context.span_id:016x}",
                f"{span.parent.span_id:016x}" if span.parent else "",
                f"{span.context.trace_id:032x}",
                dict(span.attributes or {}),
            )
            for span in self.exporter.get_finished_spans()
        )


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def threads():
    undo = UndoStack("undoing what a test did")
    instrument_threads(undo)
    yield
    undo.undo()


@pytest.fixture(autouse=True)
def empty_context():
    before = otel.attach(otel.Context())
    yield
    left = otel.get_current()
    otel.detach(before)
    assert not {key for key in left if "span" in key or key == "session.id"}


@pytest.fixture
def collector():
    with collecting() as server:
        yield server


@pytest.fixture
def program(collector):
    """Run one of the programs to its end, with its spans sent to the collector."""

    def run(name, *arguments, timeout=100, **environment):
        done = run_command(
            [sys.executable, str(PROGRAMS / name), *arguments],
            timeout=timeout,
            env=environment_for(collector.endpoint) | environment,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    return run


def environment_for(endpoint):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        # Nothing is exported until it is flushed, so no span arrives by chance.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        # Since Python 3.12 a fork with threads warns; here programs fork, with threads or not.
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
    }
