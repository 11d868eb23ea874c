"""Feedback carries both ids: in the block, in a span, later, and after a real call."""

import pytest
from opentelemetry import trace

import clew
from clew.evaluations.wire import evaluations_in
from clew.store.sdk import record_of
from tests.landing.calls import openai
from tests.landing.table import ids

BOTH = ("chat-42", "ada")


def in_the_block():
    with clew.using_session("chat-42", user_id="ada"):
        assert clew.feedback(1)


def in_a_span():
    tracer = trace.get_tracer("an-application")
    with clew.using_session("chat-42", user_id="ada"), tracer.start_as_current_span("request"):
        assert clew.feedback(1)


def later():
    assert clew.feedback(1, session_id="chat-42", user_id="ada")


def in_another_session():
    tracer = trace.get_tracer("an-application")
    with clew.using_session("other", user_id="bob"), tracer.start_as_current_span("request"):
        assert clew.feedback(1, session_id="chat-42", user_id="ada")


@pytest.mark.parametrize("give", [in_the_block, in_a_span, later, in_another_session])
def test_feedback_carries_both_ids(give, started, report):
    first = len(started.spans)
    give()
    (span,) = [it for it in started.spans[first:] if it.name == "feedback"]
    assert ids(span) == BOTH
    assert span.end_time is not None
    (said,) = evaluations_in([record_of(span)])
    assert (said.session_id, said.identifier, said.label) == (*BOTH, "good")


def test_feedback_after_a_call_is_about_its_turn(server, started, report):
    pytest.importorskip("openai")
    first = len(started.spans)
    tracer = trace.get_tracer("an-application")
    with clew.using_session("chat-42", user_id="ada"), tracer.start_as_current_span("request"):
        with openai.client(server) as client:
            messages = [{"role": "user", "content": "Where?"}]
            client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        assert clew.feedback(0)
    made = started.spans[first:]
    assert [span for span in made if ids(span) != BOTH] == []
    assert len({span.context.trace_id for span in made}) == 1
