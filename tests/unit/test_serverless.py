"""Delivery before an answer: when, how often, and for how long at most."""

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
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
    assert provider not in aws_lambda._processors


def test_the_decorator_works_without_instrument_all():
    assert get_tracer_provider() is not None
    assert flushed(lambda number: number + 1)(1) == 2
