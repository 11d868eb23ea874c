"""`clew.feedback`: a span that carries what a user says, which a store reads as an evaluation."""

import logging
from contextlib import closing

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import clew
from clew import evaluations
from clew.core import counters
from clew.core.errors import EvaluationError
from clew.sessions.store import SessionStore
from clew.spans import feedback as module
from clew.store.database import connect
from clew.store.sdk import record_of
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    """The application's own provider, given to `instrument_all`."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    clew.instrument_all(tracer_provider=provider, only=[])
    yield provider.get_tracer("app")
    clew.uninstrument_all()


@pytest.fixture
def stored(exporter, tmp_path):
    """Return a store with the spans that were made, and others."""
    opened = []

    def open_store(*others):
        path = tmp_path / "kept" / f"{len(opened)}.db"
        with closing(connect(path, create=True)) as connection:
            made = [record_of(span) for span in exporter.get_finished_spans()]
            Writer(connection).add([*others, *made])
        opened.append(SessionStore(path))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


def test_it_is_kept_whoever_says_it(tracer, stored):
    user = "u" * 256
    assert clew.feedback(score=0, session_id="chat-42", user_id=user)
    with stored(*turn()) as store:
        (found,) = evaluations.current(store, session_id="chat-42")
        assert (found.identifier, found.label) == (user, "bad")


def test_later_it_is_about_the_session(tracer, exporter, stored):
    assert clew.feedback(score=0, comment="That is my old address.", session_id="chat-42")
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes) == {
        "openinference.span.kind": "EVALUATOR",
        "session.id": "chat-42",
        "session.evaluations.0.evaluation.name": "thumbs",
        "session.evaluations.0.evaluation.score": 0.0,
        "session.evaluations.0.evaluation.label": "bad",
        "session.evaluations.0.evaluation.explanation": "That is my old address.",
        "session.evaluations.0.evaluation.annotator_kind": "HUMAN",
        "session.evaluations.0.evaluation.identifier": "user",
    }
    assert [it.name for it in span.events] == ["gen_ai.evaluation.result"]
    assert not span.links
    store = stored(*turn())
    (found,) = evaluations.current(store)
    assert (found.name, found.score, found.label) == ("thumbs", 0.0, "bad")
    assert found.explanation == "That is my old address."
    assert (found.annotator_kind, found.session_id) == ("HUMAN", "chat-42")
    assert found.made_ns == span.end_time
    (session,) = store.list(rated="bad")
    assert len(session.turns) == 1
    assert session.spans == len(turn())


def test_in_the_block_it_is_about_the_current_session_and_user(tracer, stored):
    with clew.using_session("chat-42", user_id="ada"):
        assert clew.feedback(1)
    (found,) = evaluations.current(stored())
    assert (found.session_id, found.identifier, found.label) == ("chat-42", "ada", "good")
    assert found.trace_id is None


def test_in_a_span_it_is_about_the_turn(tracer, exporter, stored):
    said = {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user"}
    said["llm.input_messages.0.message.content"] = "Where is my order?"
    with clew.using_session("chat-42"), tracer.start_as_current_span("request") as request:
        with tracer.start_as_current_span("ask", attributes=said):
            pass
        with tracer.start_as_current_span("after"):
            assert clew.feedback(label="bad")
    store = stored()
    (session,) = store.list()
    (only,) = session.turns
    assert only.spans == 3
    (found,) = evaluations.current(store)
    assert (found.trace_id, found.root_id) == (only.trace_id, only.root_id)
    assert only.root_id.hex() == trace.format_span_id(request.get_span_context().span_id)
    assert found.score == 0.0
    (carrier,) = [it for it in exporter.get_finished_spans() if it.name == "feedback"]
    assert len(carrier.links) == 1
    assert carrier.attributes["trace.evaluations.0.evaluation.label"] == "bad"


def test_a_turn_can_be_named_later(tracer, exporter, stored):
    spans = turn()
    inner = next(it for it in spans if it.parent_id is not None)
    ids = {"trace_id": inner.trace_id.hex(), "span_id": inner.span_id.hex()}
    assert clew.feedback(score=True, session_id="chat-42", **ids)
    assert clew.feedback(
        comment="Thanks",
        session_id="chat-42",
        trace_id=int.from_bytes(inner.trace_id),
        span_id=int.from_bytes(inner.span_id),
    )
    store = stored(*spans)
    (only,) = store.get("chat-42").turns
    for it in evaluations.current(store):
        assert (it.trace_id, it.root_id) == (only.trace_id, only.root_id)
    assert [it.name for it in evaluations.current(store)] == ["thumbs", "note"]


def test_from_another_session_it_is_about_the_one_that_is_named(tracer, exporter):
    with (
        clew.using_session("other", user_id="bob"),
        tracer.start_as_current_span("request") as around,
    ):
        assert clew.feedback(1, session_id="chat-42", user_id="ada")
    span = exporter.get_finished_spans()[0]
    assert (span.attributes["session.id"], span.attributes["user.id"]) == ("chat-42", "ada")
    assert span.context.trace_id != around.get_span_context().trace_id


def test_what_the_user_says_later_replaces_it(tracer, stored):
    for score, user in ((0, "ada"), (1, "ada"), (0, "bob")):
        clew.feedback(score, session_id="chat-42", user_id=user)
    found = evaluations.current(stored())
    assert [(it.identifier, it.score) for it in found] == [("ada", 1.0), ("bob", 0.0)]


def test_a_user_stays_a_pseudonym(user_id_key, tracer, exporter):
    clew.feedback(1, session_id="chat-42", user_id="ada")
    (span,) = exporter.get_finished_spans()
    assert "ada" not in str(dict(span.attributes))  # Its ids may well have these letters.
    assert len(span.attributes["user.id"]) == 64
    identifier = span.attributes["session.evaluations.0.evaluation.identifier"]
    assert identifier == span.attributes["user.id"]


@pytest.mark.parametrize(
    ("given", "name", "score", "label"),
    [
        ({"score": 1}, "thumbs", 1, "good"),
        ({"score": False}, "thumbs", 0, "bad"),
        ({"score": 0.5}, "thumbs", 0.5, None),
        ({"label": "good"}, "thumbs", 1, "good"),
        ({"label": "meh"}, "thumbs", None, "meh"),
        ({"score": 4, "name": "stars"}, "stars", 4, None),
        ({"score": 1, "name": "stars"}, "stars", 1, None),
        ({"comment": "Thanks"}, "note", None, None),
        ({"comment": "Thanks", "name": "survey"}, "survey", None, None),
    ],
)
def test_names_scores_and_labels(tracer, stored, given, name, score, label):
    clew.feedback(**given, session_id="chat-42", metadata={"page": 3})
    (found,) = evaluations.current(stored())
    assert (found.name, found.score, found.label) == (name, score, label)
    assert found.metadata == {"page": 3}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "score=, label= or comment="),
        ({"score": "1"}, "score must be a finite number, not str"),
        ({"score": float("nan")}, "score must be a finite number, not nan"),
        ({"score": 10**400}, "score must be a finite number, not int"),
        ({"label": 1}, "label must be a string, not int"),
        ({"label": " "}, "label is empty"),
        ({"comment": b"x"}, "comment must be a string, not bytes"),
        ({"comment": "x" * 50_001}, "comment has 50,001 characters"),
        ({"score": 1, "name": 7}, "name must be a string, not int"),
        ({"score": 1, "session_id": 7}, "session_id must be a string, not int"),
        ({"score": 1, "session_id": ""}, "session_id is empty"),
        ({"score": 1, "user_id": 7}, "user_id must be a string, not int"),
        ({"score": 1, "metadata": [1]}, "metadata must be a mapping, not list"),
        ({"score": 1, "trace_id": "ab"}, "trace_id and span_id together"),
        ({"score": 1, "trace_id": "ab", "span_id": "cd"}, "32 hexadecimal digits"),
        ({"score": 1, "trace_id": "0" * 32, "span_id": "0" * 16}, "32 hexadecimal digits"),
        ({"score": 1, "trace_id": "a" * 32, "span_id": None}, "together"),
        ({"score": 1, "trace_id": "a" * 32, "span_id": b"x"}, "not bytes"),
        ({"score": 1, "session_id": None}, "give session_id="),
    ],
)
def test_what_cannot_be_kept_raises_in_the_call(tracer, exporter, given, words):
    given = {"session_id": "chat-42", **given}
    with pytest.raises(clew.ClewError, match=words.replace("(", r"\(")):
        clew.feedback(**given)
    assert not exporter.get_finished_spans()


def test_a_score_that_is_no_number_is_an_evaluation_error(tracer):
    with pytest.raises(EvaluationError):
        clew.feedback(score="1", session_id="chat-42")
    with pytest.raises(TypeError):
        clew.feedback(score=1, session_id=42)


def test_where_nothing_is_traced_it_warns_once(monkeypatch, caplog):
    monkeypatch.setattr(module, "_warned", False)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    before = counters.counted().get(module.UNTRACED, 0)
    with caplog.at_level(logging.WARNING, "clew"):
        assert not clew.feedback(1, session_id="chat-42")
        assert not clew.feedback(0, session_id="chat-42")
    (warning,) = caplog.records
    assert warning.message == (
        "clew: feedback(...) is not recorded, because nothing is traced: "
        "call clew.instrument_all() first, at the start of the program"
    )
    assert counters.counted()[module.UNTRACED] == before + 2


def test_a_session_that_is_not_sampled_has_no_feedback(monkeypatch, exporter):
    monkeypatch.setenv("CLEW_SESSION_SAMPLE_RATE", "0")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    clew.instrument_all(tracer_provider=provider, only=[])
    try:
        assert not clew.feedback(1, session_id="chat-42")
    finally:
        clew.uninstrument_all()
    assert not exporter.get_finished_spans()
