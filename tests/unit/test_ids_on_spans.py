"""Every span has its ids from the start, whatever library made it or its parent."""

import pytest
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk import trace as trace_of_sdk
from opentelemetry.sdk.trace import Span, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clew import isolated, using_session
from clew.spans import cost
from clew.spans.kept_span import KeptSpan
from clew.spans.processor import IdentityProcessor
from tests.unit.model_calls import Frameworks, spend

BOTH = ("chat-42", "ada")
both = using_session("chat-42", user_id="ada")
each_tracer = pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])


def fill(span, number):
    for index in range(number):
        span.set_attribute(f"key-{index}", index)


def test_ids_given_at_the_start_take_precedence(telemetry):
    with both:
        ids = telemetry.probe(attributes={"session.id": "own", "user.id": "bob"})
    assert ids == ("own", "bob")


@each_tracer
def test_a_given_context_takes_precedence_over_the_current_one(telemetry, tracer):
    given = otel.set_value("session.id", "given", otel.Context())
    with both:
        span = getattr(telemetry, tracer).start_span("span", context=given)
    with using_session("another"):
        span.end()
    assert telemetry.ids() == ("given", "ada")


@each_tracer
def test_with_an_empty_given_context_the_current_one_is_used(telemetry, tracer):
    with both:
        getattr(telemetry, tracer).start_span("span", context=otel.Context()).end()
    assert telemetry.ids() == BOTH


@each_tracer
def test_a_child_inherits_from_its_local_parent(telemetry, tracer):
    parent = telemetry.tracer.start_span("parent")
    parent.set_attributes({"session.id": "chat-42", "user.id": "ada"})
    context = trace.set_span_in_context(parent, otel.Context())
    getattr(telemetry, tracer).start_span("given", context=context).end()
    with trace.use_span(parent, end_on_exit=True):
        getattr(telemetry, tracer).start_span("current").end()
        with using_session("own"):
            getattr(telemetry, tracer).start_span("in a block").end()
        with isolated():
            getattr(telemetry, tracer).start_span("isolated").end()
    named = telemetry.named()
    ids = {"session.id": "chat-42", "user.id": "ada"}
    assert named["given"] == named["current"] == ids
    assert named["in a block"] == {"session.id": "own", "user.id": "ada"}
    assert named["isolated"] == {}


@pytest.mark.parametrize("tracer", ["tracer", "instrumentor"])
def test_a_given_isolated_context_is_isolated_from_the_current_one_too(telemetry, tracer):
    with isolated():
        given = otel.get_current()
    with both, telemetry.tracer.start_as_current_span("parent"):
        getattr(telemetry, tracer).start_span("span", context=given).end()
    assert telemetry.named()["span"] == {}


def test_ids_are_inherited_over_several_generations(telemetry):
    with (
        telemetry.tracer.start_as_current_span("a", attributes={"session.id": "chat-42"}),
        telemetry.tracer.start_as_current_span("b"),
        telemetry.instrumentor.start_as_current_span("c"),
    ):
        assert telemetry.probe() == ("chat-42", None)


def test_nothing_is_inherited_from_a_remote_parent(telemetry):
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    assert telemetry.probe(context=context) == (None, None)
    with both:
        assert telemetry.probe(context=context) == BOTH


def test_the_context_at_the_start_counts_not_the_one_at_the_end(telemetry):
    span = telemetry.tracer.start_span("span")
    with both:
        span.end()
    assert telemetry.ids() == (None, None)


@pytest.mark.parametrize("number", [0, 130])
def test_a_second_processor_changes_nothing(make_telemetry, number):
    telemetry = make_telemetry(processors=2)
    with both:
        span = telemetry.tracer.start_span("span")
        fill(span, number)
        span.end()
    assert telemetry.ids() == BOTH
    assert type(span).__mro__.count(KeptSpan) == 1


def test_an_inactive_processor_leaves_spans_alone(make_telemetry):
    telemetry = make_telemetry(processors=0)
    processor = IdentityProcessor()
    processor.active = False
    telemetry.provider.add_span_processor(processor)
    with both:
        span = telemetry.tracer.start_span("span")
        span.end()
    assert telemetry.ids() == (None, None)
    assert not isinstance(span, KeptSpan)


def test_a_span_keeps_the_name_and_module_of_its_class(telemetry):
    span = telemetry.tracer.start_span("span")
    assert isinstance(span, Span)
    assert type(span).__name__ == "_Span"
    assert type(span).__module__ == "opentelemetry.sdk.trace"
    assert repr(span).startswith('_Span(name="span"')
    span.end()


@pytest.fixture
def costs(monkeypatch):
    pytest.importorskip("genai_prices")
    monkeypatch.setenv("CLEW_COST", "1")
    cost.read_cost_setting()
    yield
    monkeypatch.delenv("CLEW_COST")
    cost.read_cost_setting()


def test_all_spans_share_one_class_whatever_is_done_with_them(telemetry):
    frameworks = Frameworks()
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    plain = telemetry.tracer.start_span("plain")
    (kept,) = {type(span) for span in (outer.__wrapped__, inner.__wrapped__, plain)}
    assert kept.__bases__ == (KeptSpan, trace_of_sdk._Span)


def test_a_span_with_a_cost_keeps_its_class(costs):
    frameworks = Frameworks()
    outer = frameworks.llm("dspy", "outer")
    inner = frameworks.llm("openai", "inner", outer)
    assert type(outer.__wrapped__).__bases__ == (KeptSpan, trace_of_sdk._Span)
    inner.set_attributes({"llm.provider": "openai", "llm.model_name": "gpt-4o-mini"})
    spend(inner, 1_000_000, 0)
    inner.end()
    outer.end()
    assert frameworks.attributes("outer")["llm.cost.total"] > 0
    assert "llm.cost.total" not in frameworks.attributes("inner")


def test_a_second_end_is_left_to_the_sdk(telemetry, caplog):
    with both:
        span = telemetry.tracer.start_span("span")
        fill(span, 130)
        span.end()
        caplog.clear()
        span.end()
    assert [record.getMessage() for record in caplog.records] == ["Calling end() on an ended span."]
    caplog.clear()
    assert len(telemetry.spans()) == 1


def test_a_span_as_a_block_ends_once_and_records_its_exception(telemetry):
    def work():
        with both, telemetry.tracer.start_as_current_span("span") as span:
            fill(span, 130)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert telemetry.ids() == BOTH
    assert [event.name for event in telemetry.spans()[0].events] == ["exception"]


class Final(Span):
    """A span class that allows no subclass."""

    __slots__ = ()

    def __init_subclass__(cls):
        raise TypeError


class Rigid(Span):
    """A span class whose spans do not change their class."""

    def __setattr__(self, name, value):
        if name == "__class__":
            raise TypeError
        super().__setattr__(name, value)


class Slotted(Span):
    __slots__ = ("own",)


@pytest.mark.parametrize("span_class", [Final, Rigid, Slotted])
@pytest.mark.parametrize("given", [None, {"session.id": "own"}])
def test_spans_of_other_classes_get_their_ids_at_the_start(telemetry, span_class, given):
    processors = SynchronousMultiSpanProcessor()
    processors.add_span_processor(IdentityProcessor())
    processors.add_span_processor(SimpleSpanProcessor(telemetry.exporter))
    context = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(1))
    span = span_class("span", context, attributes=given, span_processor=processors)
    with both:
        span.start()
    span.set_attribute("other", 1)
    span.end()
    session = "own" if given else "chat-42"
    assert telemetry.last() == {"session.id": session, "user.id": "ada", "other": 1}


def test_the_end_that_the_spans_class_has_now_is_called(telemetry, monkeypatch):
    ended, end = [], Span.end
    with both:
        telemetry.probe()
        span = telemetry.tracer.start_span("before")
        with monkeypatch.context() as patched:
            patched.setattr(Span, "end", lambda span, _=None: (ended.append(span.name), end(span)))
            span.end()
            span = telemetry.tracer.start_span("between")
        span.end()
    assert ended == ["before"]
    assert telemetry.spans()[-1].name == "between"


def test_spans_that_are_not_recorded_are_left_alone(make_telemetry):
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    telemetry = make_telemetry(sampler=ALWAYS_OFF)
    with both, telemetry.tracer.start_as_current_span("span") as span:
        span.set_attribute("session.id", "own")
    assert telemetry.spans() == ()


def test_a_flush_reaches_the_processors_after_clews(telemetry):
    exporter = InMemorySpanExporter()
    telemetry.provider.add_span_processor(BatchSpanProcessor(exporter))
    telemetry.tracer.start_span("span").end()
    assert telemetry.provider.force_flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["span"]
    telemetry.provider.shutdown()
