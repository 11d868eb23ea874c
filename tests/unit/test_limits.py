"""No attribute limit evicts the ids of a span."""

import pytest

from clew import isolated, using_attributes, using_session

BOTH = ("chat-42", "ada")
SEVEN = {
    "session_id": "chat-42",
    "user_id": "ada",
    "metadata": {"a": 1},
    "tags": ["t"],
    "prompt_template": "Hello",
    "prompt_template_version": "v1",
    "prompt_template_variables": {"b": 2},
}
both = using_session("chat-42", user_id="ada")
each_tracer = pytest.mark.parametrize("tracer", ["tracer", "instrumentor", "stranger"])


def fill(span, number, *, one_by_one=True):
    if one_by_one:
        for index in range(number):
            span.set_attribute(f"key-{index}", index)
    else:
        span.set_attributes({f"key-{index}": index for index in range(number)})


@each_tracer
@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("number", [126, 127, 128, 130, 1000])
def test_the_attribute_limit_evicts_no_id(telemetry, tracer, number, one_by_one):
    with both:
        span = getattr(telemetry, tracer).start_span("span")
        fill(span, number, one_by_one=one_by_one)
    span.end()
    assert telemetry.ids() == BOTH
    assert len(telemetry.last()) <= 128


@each_tracer
@pytest.mark.parametrize("number", [*range(118, 132), 1000])
def test_the_attribute_limit_evicts_no_id_with_all_seven_arguments(telemetry, tracer, number):
    with using_attributes(**SEVEN):
        span = getattr(telemetry, tracer).start_span("span")
        fill(span, number)
        span.end()
    assert telemetry.ids() == BOTH
    assert telemetry.last()["metadata"] == '{"a": 1}'


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 50])
@pytest.mark.parametrize("block", [both, using_attributes(**SEVEN)], ids=["ids", "seven"])
def test_a_limit_of_three_keeps_both_ids(make_telemetry, number, block):
    telemetry = make_telemetry(limit=3)
    with block:
        span = telemetry.tracer.start_span("span")
        fill(span, number)
        span.end()
    assert telemetry.ids() == BOTH


@pytest.mark.parametrize("number", [127, 130, 1000])
def test_attributes_given_at_the_start_do_not_evict_the_ids(telemetry, number):
    given = {f"key-{index}": index for index in range(number)}
    with both:
        telemetry.probe(attributes=given)
    assert telemetry.ids() == BOTH


@pytest.mark.parametrize("number", [0, 130])
@pytest.mark.parametrize("at", ["start", "set_attribute", "set_attributes"])
@pytest.mark.parametrize("block", [both, isolated()], ids=["session", "none"])
def test_the_applications_own_ids_take_precedence_and_are_not_evicted(telemetry, number, at, block):
    own = {"session.id": "own", "user.id": "bob"}
    with block:
        span = telemetry.tracer.start_span("span", attributes=own if at == "start" else None)
        if at == "set_attribute":
            for key, value in own.items():
                span.set_attribute(key, value)
        elif at == "set_attributes":
            span.set_attributes(own)
        fill(span, number)
        span.end()
    assert own.items() <= telemetry.last().items()


@pytest.mark.parametrize("own", ["c", "chat-4", "chat-42-b", "42"])
def test_a_part_of_the_id_in_the_context_is_another_id(telemetry, own):
    with both, telemetry.tracer.start_as_current_span("a", attributes={"session.id": own}) as span:
        fill(span, 130)
    assert telemetry.named()["a"]["session.id"] == own


def test_the_last_id_that_the_application_sets_counts(telemetry):
    with both:
        span = telemetry.tracer.start_span("span")
        for value in ("one", "chat-42", "two", "chat-42"):
            span.set_attribute("session.id", value)
        fill(span, 200)
        span.end()
    assert telemetry.ids() == BOTH


@pytest.mark.parametrize("at", ["start", "set_attribute"])
def test_a_child_inherits_what_the_limit_has_evicted_from_its_parent(telemetry, at):
    own = {"session.id": "chat-42", "user.id": "ada"}
    with telemetry.tracer.start_as_current_span("a", attributes=own if at == "start" else {}) as a:
        a.set_attributes(own)
        fill(a, 130)
        assert telemetry.probe() == BOTH
