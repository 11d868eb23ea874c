"""Delivery before an answer: when, how often, and for how long at most."""

from threading import Event
from time import monotonic

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_tracer_provider,
    set_span_in_context,
)

from clew import aws_lambda
from clew.aws_lambda import flush_before_answers, flushed
from clew.patching.undo import UndoStack


class Flushes(SpanProcessor):
    """Notes how long it was given each time."""

    def __init__(self):
        self.given = []

    def force_flush(self, timeout_millis=30_000):
        self.given.append(timeout_millis / 1000)
        return True


@pytest.fixture
def flushes():
    return Flushes()


@pytest.fixture
def tracer(monkeypatch, flushes):
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(flushes)
    undo = UndoStack("undoing what a test did")
    flush_before_answers(provider, undo)
    flush_before_answers(provider, undo)
    yield provider.get_tracer("application")
    undo.undo()
    before = len(flushes.given)
    provider.get_tracer("application").start_span("afterwards").end()
    assert len(flushes.given) == before


def test_once_when_the_outermost_span_ends(tracer, flushes):
    with tracer.start_as_current_span("outer"):
        tracer.start_span("inner").end()
        assert flushes.given == []
    assert len(flushes.given) == 1
    assert 2 < flushes.given[0] <= 3


class Hiding:
    """Makes another provider's spans, and does not show what their processors are called by."""

    def __init__(self, hidden):
        self.hidden = hidden

    def add_span_processor(self, processor):
        self.hidden.add_span_processor(processor)

    def get_tracer(self, name):
        return Hiding(self.hidden.get_tracer(name))

    def start_span(self, name):
        return self.hidden.start_span(name)

    def force_flush(self, timeout_millis):
        return self.hidden.force_flush(timeout_millis)


@pytest.mark.parametrize(("visible", "late"), [(True, True), (True, False), (False, False)])
def test_an_exporter_has_the_span_whenever_it_was_added(monkeypatch, visible, late):
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    sdk_provider = TracerProvider(shutdown_on_exit=False)
    provider = sdk_provider if visible else Hiding(sdk_provider)
    undo = UndoStack("undoing what a test did")
    exporter = InMemorySpanExporter()
    if late:
        flush_before_answers(provider, undo)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    if not late:
        flush_before_answers(provider, undo)
    tracer, had = provider.get_tracer("application"), []
    for number in range(3):
        tracer.start_span(f"handler {number}").end()
        had.append(len(exporter.get_finished_spans()))
    undo.undo()
    tracer.start_span("afterwards").end()
    had_afterwards = len(exporter.get_finished_spans())
    sdk_provider.shutdown()
    assert had == [1, 2, 3]
    assert had_afterwards == 3


def test_a_parent_elsewhere_is_no_span_of_this_process(tracer, flushes):
    caller = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
    context = set_span_in_context(NonRecordingSpan(caller))
    tracer.start_span("outermost", context=context).end()
    assert len(flushes.given) == 1


def test_a_decorated_handler_delivers_once_at_its_end(tracer, flushes):
    @flushed
    def handler(event, _context):
        for _ in range(3):
            tracer.start_span("outermost").end()
        assert flushes.given == []
        return event

    assert handler("an event", None) == "an event"
    assert len(flushes.given) == 1
    tracer.start_span("outermost").end()
    assert len(flushes.given) == 2


def test_also_when_the_handler_raises(tracer, flushes):
    @flushed
    def handler():
        raise KeyError

    with pytest.raises(KeyError):
        handler()
    assert len(flushes.given) == 1


class Unanswered(SpanExporter):
    """Waits for a collector that does not answer."""

    def __init__(self):
        self.asked, self.answers = Event(), Event()

    def export(self, _spans):
        self.asked.set()
        self.answers.wait(60)
        return SpanExportResult.SUCCESS


@pytest.fixture
def unanswered(monkeypatch):
    """Two providers of an application, each with the SDK's processor before such an exporter."""
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    monkeypatch.setenv("CLEW_EXIT_TIMEOUT", "0.2")
    exporters = [Unanswered(), Unanswered()]
    providers = [TracerProvider(shutdown_on_exit=False) for _ in exporters]
    undo = UndoStack("undoing what a test did")
    for provider, exporter in zip(providers, exporters, strict=True):
        provider.add_span_processor(BatchSpanProcessor(exporter))
        flush_before_answers(provider, undo)
    yield providers, exporters
    undo.undo()
    for provider, exporter in zip(providers, exporters, strict=True):
        exporter.answers.set()
        provider.shutdown()


def test_a_collector_that_does_not_answer_takes_no_more_than_the_time_of_an_exit(unanswered):
    providers, exporters = unanswered
    begun = monotonic()
    for provider in providers:
        provider.get_tracer("application").start_span("outermost").end()
    assert monotonic() - begun < 5
    assert all(exporter.asked.wait(30) for exporter in exporters)


def test_all_providers_share_the_time_that_the_function_has(unanswered, monkeypatch):
    monkeypatch.setenv("CLEW_EXIT_TIMEOUT", "60")
    providers, exporters = unanswered

    @flushed
    def handler(_event, _context):
        for provider in providers:
            provider.get_tracer("application").start_span("outermost").end()
        return "an answer"

    begun = monotonic()
    assert handler({}, Context(1_200)) == "an answer"
    assert 0.9 < monotonic() - begun < 1.9
    assert all(exporter.asked.wait(30) for exporter in exporters)


class Context:
    def __init__(self, milliseconds):
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self):
        return self.milliseconds


@pytest.mark.parametrize(("milliseconds", "most"), [(100_000, 3.0), (1_200, 1.0), ("?", 3.0)])
def test_it_takes_no_longer_than_the_function_has(tracer, flushes, milliseconds, most):
    flushed(lambda *_: None)({}, Context(milliseconds))
    (given,) = flushes.given
    assert most - 0.5 < given <= most


@pytest.mark.usefixtures("tracer")
def test_the_context_may_be_any_argument(flushes):
    class Function:
        @flushed
        def handler(self, event, context):
            return event, context

    Function().handler({}, Context(1_200))
    Function().handler(event={}, context=Context(1_200))
    assert [0.5 < given <= 1 for given in flushes.given] == [True, True]


@pytest.mark.usefixtures("tracer")
def test_a_function_without_time_answers_at_once(flushes):
    flushed(lambda *_: None)({}, Context(100))
    assert flushes.given == []


@pytest.mark.usefixtures("tracer")
def test_the_time_can_be_set(flushes, monkeypatch):
    monkeypatch.setenv("CLEW_EXIT_TIMEOUT", "0.5")
    flushed(lambda: None)()
    assert 0 < flushes.given[0] <= 0.5


def test_a_time_that_cannot_be_used_raises_nowhere(tracer, flushes, monkeypatch):
    monkeypatch.setenv("CLEW_EXIT_TIMEOUT", "3s")
    tracer.start_span("outermost").end()
    assert flushed(lambda: "an answer")() == "an answer"
    assert [2 < given <= 3 for given in flushes.given] == [True, True]


def test_elsewhere_nothing_is_added(monkeypatch, flushes):
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(flushes)
    flush_before_answers(provider, UndoStack("undoing what a test did"))
    provider.get_tracer("application").start_span("outermost").end()
    assert flushes.given == []
    assert provider not in aws_lambda._providers


def test_the_decorator_works_without_instrument_all():
    assert get_tracer_provider() is not None
    assert flushed(lambda number: number + 1)(1) == 2
