"""Which id takes precedence: the application's, the context's, the framework's, the parent's."""

import random

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from clew import isolated, using_attributes, using_session

both = using_session("chat-42", user_id="ada")
THREAD = {"session.id": "thread-1", "user.id": "framework-user"}
each_tracer = pytest.mark.parametrize("tracer", ["instrumentor", "stranger"])
each_way = pytest.mark.parametrize("way", ["set_attribute", "set_attributes"])


def write(span, way, values):
    if way == "set_attributes":
        span.set_attributes(values)
    else:
        for key, value in values.items():
            span.set_attribute(key, value)


@pytest.fixture
def write_as_instrumentor(as_instrumentor):
    def written(span, way, values):
        if way == "set_attributes":
            as_instrumentor(span.set_attributes, values)
        else:
            for key, value in values.items():
                as_instrumentor(span.set_attribute, key, value)

    return written


@each_tracer
@each_way
@pytest.mark.parametrize("number", [0, 130])
def test_a_frameworks_id_on_the_span_never_overrides_the_contexts(
    telemetry, as_instrumentor, write_as_instrumentor, tracer, way, number
):
    with both:
        span = as_instrumentor(getattr(telemetry, tracer).start_span, "span")
        write_as_instrumentor(span, way, THREAD)
        write_as_instrumentor(span, way, {f"key-{index}": index for index in range(number)})
    write_as_instrumentor(span, way, THREAD)
    as_instrumentor(span.end)
    assert telemetry.ids() == ("chat-42", "ada")


@each_tracer
@each_way
@pytest.mark.parametrize("number", [0, 130])
def test_a_frameworks_id_is_set_if_there_is_no_other(
    telemetry, write_as_instrumentor, tracer, way, number
):
    span = getattr(telemetry, tracer).start_span("span")
    write_as_instrumentor(span, way, THREAD)
    write_as_instrumentor(span, way, {f"key-{index}": index for index in range(number)})
    span.end()
    assert telemetry.ids() == ("thread-1", "framework-user")


@each_tracer
@each_way
def test_a_frameworks_id_takes_precedence_over_the_parents(
    telemetry, write_as_instrumentor, tracer, way
):
    with telemetry.tracer.start_as_current_span("parent", attributes={"session.id": "parents"}):
        span = getattr(telemetry, tracer).start_span("span")
        write_as_instrumentor(span, way, {"session.id": "thread-1"})
        write_as_instrumentor(span, way, {f"key-{index}": index for index in range(130)})
        span.end()
        assert telemetry.ids() == ("thread-1", None)
        getattr(telemetry, tracer).start_span("another").end()
        assert telemetry.ids() == ("parents", None)


@pytest.mark.parametrize("block", [both, using_session("other")])
def test_a_frameworks_id_given_to_start_span(telemetry, as_instrumentor, block):
    start = telemetry.instrumentor.start_span
    as_instrumentor(start, "free", attributes=THREAD).end()
    with block:
        as_instrumentor(start, "bound", attributes={"session.id": "thread-1"}).end()
        expected = telemetry.probe()
    with telemetry.tracer.start_as_current_span("parent", attributes={"session.id": "parents"}):
        as_instrumentor(start, "child", attributes=THREAD).end()
    named = telemetry.named()
    assert named["free"] == named["child"] == THREAD
    assert named["bound"].get("session.id") == expected[0]
    assert named["bound"].get("user.id") == expected[1]


@pytest.mark.parametrize("bad", ["", "a\x00b", b"raw", None, 1.5, "x" * 300])
def test_a_frameworks_invalid_id_is_dropped(telemetry, write_as_instrumentor, bad):
    span = telemetry.instrumentor.start_span("span")
    write_as_instrumentor(span, "set_attribute", {"session.id": bad})
    span.end()
    assert telemetry.last() == {}


def test_a_frameworks_number_is_set_as_text(telemetry, write_as_instrumentor):
    span = telemetry.instrumentor.start_span("span")
    write_as_instrumentor(span, "set_attribute", {"session.id": 42})
    span.end()
    assert telemetry.ids() == ("42", None)


@each_tracer
@each_way
@pytest.mark.parametrize("number", [0, 130])
def test_the_applications_id_on_an_instrumentors_span_takes_precedence(
    telemetry, write_as_instrumentor, tracer, way, number
):
    with both:
        span = getattr(telemetry, tracer).start_span("span")
        write_as_instrumentor(span, way, THREAD)
        write(span, way, {"session.id": "own", "user.id": "bob"})
        write_as_instrumentor(span, way, {f"key-{index}": index for index in range(number)})
        write_as_instrumentor(span, way, THREAD)
        span.end()
    assert telemetry.ids() == ("own", "bob")


@pytest.mark.parametrize("at", ["start", "set_attribute"])
def test_the_applications_id_replaces_an_inherited_one(telemetry, write_as_instrumentor, at):
    own = {"session.id": "own"}
    with telemetry.tracer.start_as_current_span("parent", attributes=THREAD):
        span = telemetry.tracer.start_span("span", attributes=own if at == "start" else None)
        write(span, "set_attribute", own if at == "set_attribute" else {})
        write_as_instrumentor(span, "set_attribute", {"session.id": "thread-2"})
        span.end()
    assert telemetry.named()["span"]["session.id"] == "own"


def test_the_applications_id_takes_precedence_over_the_frameworks(telemetry, write_as_instrumentor):
    span = telemetry.instrumentor.start_span("span")
    write_as_instrumentor(span, "set_attribute", {"session.id": "thread-1"})
    span.set_attribute("session.id", "own")
    write_as_instrumentor(span, "set_attribute", {"session.id": "thread-1"})
    span.end()
    assert telemetry.ids()[0] == "own"


def test_ids_that_the_instrumentor_reads_from_the_context_at_the_end_are_ignored(
    telemetry, write_as_instrumentor
):
    span = telemetry.instrumentor.start_span("span")
    with both:
        write_as_instrumentor(span, "set_attribute", {"session.id": "chat-42", "user.id": "ada"})
    span.end()
    assert telemetry.ids() == (None, None)


def test_a_frameworks_metadata_is_not_an_id(telemetry, write_as_instrumentor):
    with using_attributes(session_id="chat-42", metadata={"a": 1}):
        span = telemetry.instrumentor.start_span("span")
        write_as_instrumentor(span, "set_attribute", {"metadata": '{"run": 7}'})
        span.end()
    assert telemetry.last()["metadata"] == '{"run": 7}'
    assert telemetry.ids()[0] == "chat-42"


def test_precedence_is_context_then_framework_then_parent(telemetry, write_as_instrumentor):
    with telemetry.tracer.start_as_current_span("parent", attributes=THREAD):
        for block in (using_session("chat-42"), isolated()):
            with block:
                span = telemetry.instrumentor.start_span("span")
                write_as_instrumentor(span, "set_attribute", {"user.id": "bob"})
                span.end()
    inside, apart = [span.attributes for span in telemetry.spans()[:2]]
    assert dict(inside) == {"session.id": "chat-42", "user.id": "bob"}
    assert dict(apart) == {"user.id": "bob"}


class Watching(Sampler):
    def __init__(self):
        self.seen = []

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *more):
        self.seen.append(dict(attributes or {}))
        return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes, *more)

    def get_description(self):
        return "Watching"


def test_a_sampler_sees_the_ids_of_an_instrumentors_span(make_telemetry):
    sampler = Watching()
    telemetry = make_telemetry(sampler=sampler)
    with both:
        telemetry.instrumentor.start_span("span", attributes={"session.id": "thread-1"}).end()
    assert sampler.seen == [{"session.id": "chat-42", "user.id": "ada"}]


def test_a_sampler_sees_the_frameworks_id_before_the_parents(make_telemetry, as_instrumentor):
    sampler = Watching()
    telemetry = make_telemetry(sampler=sampler)
    with telemetry.tracer.start_as_current_span("parent", attributes={"session.id": "parents"}):
        start = telemetry.instrumentor.start_span
        as_instrumentor(start, "span", attributes={"session.id": "thread-1"}).end()
    assert [seen["session.id"] for seen in sampler.seen] == ["parents", "thread-1"]


def test_span_ids_differ_although_the_application_seeds_random(telemetry):
    spans = []
    for _ in range(2):
        random.seed(7)
        spans.append(telemetry.instrumentor.start_span("span").get_span_context())
    assert spans[0].trace_id != spans[1].trace_id
    assert spans[0].span_id != spans[1].span_id


def test_instrumentors_tracers_have_names_and_start_current_spans(telemetry):
    with both, telemetry.instrumentor.start_as_current_span("parent") as parent:
        telemetry.tracer.start_span("child").end()
        assert parent.is_recording()
    child, parent = telemetry.spans()
    assert child.parent.span_id == parent.context.span_id
    assert parent.instrumentation_scope.name == "openinference.instrumentation.fake"
    assert telemetry.named()["parent"] == telemetry.named()["child"]
