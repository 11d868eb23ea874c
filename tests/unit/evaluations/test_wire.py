"""What is written into spans is read back identically, over OTLP and from the store."""

import json
from contextlib import closing
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openinference.instrumentation import get_annotation_attributes, get_evaluation_attributes

from clew import evaluations
from clew.core import counters
from clew.evaluations import Evaluation
from clew.evaluations.wire import carriers_of, evaluations_in
from clew.sessions.carried import UNUSABLE
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.otlp import from_json, from_protobuf, to_json, to_protobuf
from clew.store.record import Event, Link, SpanRecord
from clew.store.writer import Writer
from tests.support.conversation_spans import START, turn

TRACE, ROOT, SPAN = b"t" * 16, b"r" * 8, b"s" * 8
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = WORDS.filter(str.strip)
METADATA = st.dictionaries(
    WORDS,
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
)
TARGETS = st.sampled_from(
    [
        {"session_id": "chat-42"},
        {"session_id": "chat-42", "trace_id": TRACE},
        {"session_id": "chat-42", "trace_id": TRACE, "root_id": ROOT},
        {"session_id": "chat-42", "trace_id": TRACE, "span_id": SPAN},
        {"session_id": "chat-42", "trace_id": TRACE, "root_id": ROOT, "span_id": SPAN},
        {"trace_id": TRACE},
        {"trace_id": TRACE, "span_id": SPAN},
    ]
)


@st.composite
def made(draw):
    return Evaluation(
        draw(NAMES),
        score=draw(st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        label=draw(st.none() | WORDS),
        explanation=draw(st.none() | WORDS),
        annotator_kind=draw(st.sampled_from(["HUMAN", "LLM", "CODE", "CROWD"]) | NAMES),
        identifier=draw(WORDS),
        metadata=draw(METADATA),
        version=draw(WORDS),
        made_ns=draw(st.integers(0, 2**63 - 1)),
        **draw(TARGETS),
    )


@given(st.lists(made(), max_size=5))
def test_what_is_written_is_read_back_over_otlp(said):
    carriers = carriers_of(said)
    assert evaluations_in(carriers) == said
    assert evaluations_in(from_protobuf(to_protobuf(carriers))) == said
    assert evaluations_in(from_json(to_json(carriers))) == said


@settings(max_examples=20, deadline=None)
@given(st.lists(made(), max_size=5, unique_by=lambda it: (it.name, it.identifier)))
def test_what_is_written_is_read_back_from_the_store(tmp_path_factory, said):
    path = tmp_path_factory.mktemp("kept") / "spans.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(carriers_of(said))
        Writer(connection).add(from_protobuf(to_protobuf(carriers_of(said))))
    with SessionStore(path) as store:
        found = evaluations.history(store)
        assert not store.list()
    key = repr
    assert sorted((_without_store(it) for it in found), key=key) == sorted(said, key=key)


def _without_store(it):
    return replace(it, id=None, seen=None)


def carried(scope, form, at=0, **fields):
    """Return attributes as OpenInference's own helpers write them."""
    write = {"evaluation": get_evaluation_attributes, "annotation": get_annotation_attributes}
    written = write[form](
        **{f"{form}s": [{"name": "_", "label": "_"}] * at + [fields]}, scope=scope
    )
    return {key: value for key, value in written.items() if f"s.{at}." in key}


def carrier(attributes, links=(), **more):
    given = {"openinference.span.kind": "EVALUATOR", **attributes}
    return SpanRecord(
        trace_id=b"c" * 16,
        span_id=b"carrier.",
        parent_id=None,
        name="judged",
        start=START,
        end=START + 5,
        attributes=given,
        links=tuple(Link(*it, {}) for it in links),
        **more,
    )


FULL = {
    "name": "solved",
    "score": 0.5,
    "label": "partly",
    "explanation": "It was found, not sent.",
    "annotator_kind": "LLM",
    "identifier": "judge",
    "metadata": {"model": "m"},
}


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ("session", {}),
        ("trace", {"trace_id": TRACE, "root_id": ROOT}),
        ("span", {"trace_id": TRACE, "span_id": SPAN}),
    ],
)
def test_the_attributes_are_those_of_openinference(scope, target):
    (span,) = carriers_of([Evaluation(**FULL, session_id="chat-42", made_ns=7, **target)])
    assert dict(span.attributes) == {
        "openinference.span.kind": "EVALUATOR",
        "session.id": "chat-42",
        **carried(scope, "evaluation", **FULL),
    }
    assert [(it.trace_id, it.span_id) for it in span.links] == (
        [] if scope == "session" else [(TRACE, ROOT if scope == "trace" else SPAN)]
    )
    assert (span.start, span.end) == (7, 7)


def test_the_event_is_that_of_opentelemetry():
    (span,) = carriers_of([Evaluation(**FULL, session_id="chat-42", made_ns=7)])
    expected = {
        "gen_ai.evaluation.name": "solved",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "partly",
        "gen_ai.evaluation.explanation": "It was found, not sent.",
    }
    assert span.events == (Event("gen_ai.evaluation.result", 7, expected),)
    (bare,) = carriers_of([Evaluation("solved", label="no", session_id="chat-42")])
    assert dict(bare.events[0].attributes) == {
        "gen_ai.evaluation.name": "solved",
        "gen_ai.evaluation.score.label": "no",
    }


def test_the_same_evaluation_gives_the_same_span():
    said = Evaluation(**FULL, session_id="chat-42", made_ns=7)
    assert carriers_of([said]) == carriers_of([said])
    others = [replace(said, score=1), replace(said, made_ns=8), replace(said, session_id="other")]
    assert len({it.span_id for it in carriers_of([said, *others])}) == 4


@pytest.mark.parametrize("form", ["evaluation", "annotation"])
def test_what_others_write_is_read(form):
    inline = replace(carrier(carried("span", form, **FULL)), links=())
    inline = replace(inline, attributes={**inline.attributes, "openinference.span.kind": "LLM"})
    linked = [(TRACE, SPAN)]
    spans = [
        carrier({"session.id": "chat-42", **carried("session", form, at=2, **FULL)}),
        carrier(carried("trace", form, **FULL), linked),
        carrier(carried("span", form, **FULL), linked),
        inline,
    ]
    targets = [
        {"session_id": "chat-42"},
        {"trace_id": TRACE},
        {"trace_id": TRACE, "span_id": SPAN},
        {"trace_id": b"c" * 16, "span_id": b"carrier."},
    ]
    assert evaluations_in(spans) == [
        Evaluation(**FULL, **target, made_ns=START + 5) for target in targets
    ]


def test_under_both_names_it_is_read_once():
    both = {**carried("session", "evaluation", **FULL), **carried("session", "annotation", **FULL)}
    assert len(evaluations_in([carrier({"session.id": "chat-42", **both})])) == 1


def test_several_in_one_span_are_read():
    several = get_evaluation_attributes(
        evaluations=[{"name": "solved", "score": 1}, {"name": "polite", "label": "yes"}],
        scope="session",
    )
    found = evaluations_in([carrier({"session.id": "chat-42", **several})])
    assert [(it.name, it.score, it.label) for it in found] == [
        ("solved", 1.0, None),
        ("polite", None, "yes"),
    ]


def test_the_event_alone_is_read_too():
    said = {"gen_ai.evaluation.name": "solved", "gen_ai.evaluation.score.value": 1}
    span = carrier({}, [(TRACE, SPAN)], events=(Event("gen_ai.evaluation.result", START, said),))
    (found,) = evaluations_in([span])
    assert (found.name, found.score, found.trace_id, found.span_id) == ("solved", 1.0, TRACE, SPAN)


SESSION = {"session.id": "chat-42"}
UNUSABLE_ONES = {
    "no name": {**SESSION, "session.evaluations.0.evaluation.score": 1},
    "a blank name": {
        **SESSION,
        "session.evaluations.0.evaluation.name": "  ",
        "session.evaluations.0.evaluation.score": 1,
    },
    "nothing said": {**SESSION, "session.evaluations.0.evaluation.name": "solved"},
    "a score that is a text": {**SESSION, **carried("session", "evaluation", name="n", score="1")},
    "a score that is a bool": {**SESSION, **carried("session", "evaluation", name="n", score=True)},
    "a score that is no number": {
        **SESSION,
        **carried("session", "evaluation", name="n", score=float("nan")),
    },
    "a label that is a number": {**SESSION, **carried("session", "evaluation", name="n", label=1)},
    "no session": carried("session", "evaluation", name="n", score=1),
    "a long label": {**SESSION, **carried("session", "evaluation", name="n", label="x" * 201)},
}


@pytest.mark.parametrize("attributes", UNUSABLE_ONES.values(), ids=UNUSABLE_ONES.keys())
def test_what_cannot_be_used_is_dropped_and_counted(tmp_path, attributes):
    before = counters.counted().get(UNUSABLE, 0)
    span = replace(carrier(attributes), span_id=sha256(repr(attributes).encode()).digest()[:8])
    stored = kept(tmp_path, [span, *turn()])
    with stored as store:
        assert evaluations.history(store) == []
        assert [it.id for it in store.list()] == ["chat-42"]
    assert counters.counted()[UNUSABLE] == before + 1


def test_a_span_with_several_links_speaks_of_none(tmp_path):
    attributes = carried("span", "evaluation", **FULL)
    assert evaluations_in([carrier(attributes, [(TRACE, SPAN), (TRACE, ROOT)])]) == []


def kept(folder, spans):
    path = folder / "kept" / "spans.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(spans)
    return SessionStore(path)


def test_a_carrier_is_no_part_of_the_conversation(tmp_path):
    spans = turn()
    root = next(it for it in spans if it.parent_id is None)
    target = {"session_id": "chat-42", "trace_id": root.trace_id, "root_id": root.span_id}
    with kept(tmp_path / "without", spans) as store:
        (before,) = store.sql("SELECT * FROM sessions")
    late = root.end + 10**12
    said = [
        Evaluation("thumbs", label="bad", annotator_kind="HUMAN", made_ns=late, **target),
        Evaluation("solved", score=1, session_id="chat-42", made_ns=late),
    ]
    with kept(tmp_path / "with", [*spans, *carriers_of(said)]) as store:
        (after,) = store.sql("SELECT * FROM sessions")
        (listed,) = store.list(rated="bad")
        found = evaluations.current(store, session_id="chat-42")
        assert len(listed.turns) == 1
    assert after == before
    assert [(it.name, it.root_id) for it in found] == [("thumbs", root.span_id), ("solved", None)]


def test_one_without_a_session_is_given_that_of_its_trace(tmp_path):
    spans = turn()
    linked = [(spans[0].trace_id, spans[0].span_id)]
    first = carrier(carried("span", "annotation", **FULL), linked)
    second = replace(carrier(carried("trace", "annotation", **FULL), linked), span_id=b"carrier2")
    for order in ([first, second, *spans], [*spans, first, second]):
        with kept(tmp_path / str(len(list(tmp_path.iterdir()))), order) as store:
            found = evaluations.current(store, session_id="chat-42")
            assert {(it.trace_id, it.span_id) for it in found} == {
                (spans[0].trace_id, spans[0].span_id),
                (spans[0].trace_id, None),
            }


def test_a_turn_that_is_named_by_a_span_inside_it_is_found(tmp_path):
    spans = turn()
    inner = next(it for it in spans if it.parent_id is not None)
    root = next(it for it in spans if it.parent_id is None)
    target = {"trace_id": inner.trace_id, "root_id": inner.span_id, "session_id": "chat-42"}
    said = carriers_of([Evaluation("thumbs", score=1, **target)])
    for order in ([*said, *spans], [*spans, *said]):
        with kept(tmp_path / str(len(list(tmp_path.iterdir()))), order) as store:
            (found,) = evaluations.current(store, session_id="chat-42")
            assert found.root_id == root.span_id


def test_a_withdrawal_is_carried_and_no_result_for_others():
    said = Evaluation("thumbs", session_id="chat-42", annotator_kind="HUMAN", made_ns=3)
    (span,) = carriers_of([said])
    assert evaluations_in([span]) == [said]
    assert not [key for key in span.attributes if key.startswith(("session.eval", "evaluations"))]
    assert not span.events


def test_what_is_deleted_takes_its_carriers_along(tmp_path):
    spans = turn()
    root = next(it for it in spans if it.parent_id is None)
    linked = [(root.trace_id, root.span_id)]
    said = {"name": "thumbs", "explanation": "zanzibarnote", "annotator_kind": "HUMAN"}
    alone = carrier(carried("trace", "annotation", **said, identifier="eve"), linked)
    about_it = carriers_of([Evaluation(**said, session_id="chat-42", made_ns=1)])
    for forgotten in ({"session": "chat-42"}, {"user": "ada"}):
        with kept(
            tmp_path / str(len(list(tmp_path.iterdir()))), [*spans, alone, *about_it]
        ) as store:
            assert len(evaluations.history(store)) == 2
            store.forget(**forgotten)
            assert evaluations.history(store) == []
            assert store.sql("SELECT name FROM spans").to_columns() == {"name": []}
            assert b"zanzibarnote" not in store.path.read_bytes()


def test_what_a_person_said_is_deleted_with_the_person(tmp_path):
    said = Evaluation("thumbs", score=0, session_id="chat-42", annotator_kind="HUMAN")
    said = carriers_of([replace(said, identifier="eve"), replace(said, identifier="bob")])
    with kept(tmp_path, [*turn(), *said]) as store:
        store.forget(user="eve")
        assert [it.identifier for it in evaluations.history(store)] == ["bob"]
        assert [
            it["name"] for it in store.sql("SELECT name FROM spans WHERE kind = 'EVALUATOR'")
        ] == ["evaluation thumbs"]


def test_what_a_judge_did_is_not_torn_from_it(tmp_path):
    """A carrier with spans inside it stays around them: else they would be turns of their own."""
    about = {**SESSION, **carried("session", "evaluation", **FULL)}
    judged = carrier(about)
    asked = replace(
        turn(tool=False)[0], trace_id=judged.trace_id, parent_id=judged.span_id, span_id=b"asked..."
    )
    with kept(tmp_path, [judged, asked]) as store:
        assert json.loads(store.sql("SELECT * FROM turns").to_json())[0]["said"] == 0
        assert len(evaluations.current(store, session_id="chat-42")) == 1
