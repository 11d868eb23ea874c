"""Runs of evaluators: only what is new is looked at, and no verdict is lost or replaced wrongly."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event, Lock, Thread
from time import time_ns

import pytest

from clew import evaluations
from clew.evaluations import Evaluation, evaluate, evaluator
from clew.evaluations.metrics import Metric, figures
from clew.sessions.store import SessionStore
from clew.spans import feedback
from clew.store.database import connect
from tests.support.conversation_spans import SECOND, START, turn
from tests.unit.evaluations.asking import Asked


def said(store, **which):
    return {it.session_id: (it.score, it.label) for it in evaluations.current(store, **which)}


def test_each_session_is_judged_once(store):
    asked = Asked(lambda session: len(session.turns) > 1)
    run = evaluate(store, asked.evaluator)
    assert (run.made, run.fresh, run.unknown, run.failed, run.cost) == (2, 0, 0, 0, 0.0)
    assert said(store) == {"a": (1.0, "yes"), "b": (0.0, "no")}
    run = evaluate(store, [asked.evaluator])
    assert (run.made, run.fresh) == (0, 2)
    assert sorted(asked.sessions) == ["a", "b"]
    assert repr(run) == "<Run: 0 made, 0 unknown, 0 failed, 2 fresh, $0.0000>"
    (one, _) = evaluations.current(store)
    assert (one.version, one.identifier, one.annotator_kind) == ("1", "", "CODE")
    (last,) = store.sql("SELECT max(id) AS number FROM evaluations")
    assert last["number"] == 2


def test_a_session_that_goes_on_is_judged_again_and_nothing_is_overwritten(store, write):
    asked = Asked(lambda session: len(session.turns))
    evaluate(store, asked.evaluator)
    write(turn("a", number=3, start=START + 90 * SECOND))
    assert evaluate(store, asked.evaluator).made == 1
    assert asked.sessions.count("a") == 2
    assert said(store)["a"] == (3.0, None)
    history = evaluations.history(store, session_id="a")
    assert [it.score for it in history] == [2.0, 3.0]
    assert history[0].seen < history[1].seen


def test_a_new_version_replaces_what_the_one_before_said(store):
    evaluate(store, Asked(lambda _: "old").evaluator)
    run = evaluate(store, Asked(lambda _: "new", version="2").evaluator)
    assert run.made == 2
    assert said(store) == {"a": (None, "new"), "b": (None, "new")}
    history = [(it.version, it.label) for it in evaluations.history(store, session_id="b")]
    assert history == [("1", "old"), ("2", "new")]


def test_what_cannot_be_known_is_kept_and_not_asked_again(store):
    asked = Asked(lambda _: None)
    assert evaluate(store, asked.evaluator).unknown == 2
    assert said(store) == {"a": (None, "unknown"), "b": (None, "unknown")}
    assert evaluate(store, asked.evaluator).fresh == 2
    assert len(asked.sessions) == 2


def test_what_failed_is_no_verdict_and_is_tried_again_in_the_next_run(store):
    fails = {"a"}

    def answer(session):
        if session.id in fails:
            message = f"no idea of {session.id}"
            raise ValueError(message)
        return 0.5

    asked = Asked(answer)
    run = evaluate(store, asked.evaluator)
    assert (run.made, run.failed) == (1, 1)
    (failure,) = run.failures
    assert failure == ("resolved", "a", None, None, "ValueError: no idea of a")
    assert said(store) == {"b": (0.5, None)}
    evaluate(store, asked.evaluator)
    with closing(connect(store.path)) as connection:
        query = "SELECT session_id, error, attempts, version FROM evaluation_error"
        assert connection.execute(query).fetchall() == [("a", "ValueError: no idea of a", 2, "1")]
        fails.clear()
        assert evaluate(store, asked.evaluator).made == 1
        assert connection.execute(query).fetchall() == []
    assert asked.sessions.count("b") == 1


def test_turns_are_judged_by_themselves(store, write):
    judged = []

    @evaluator(level="turn")
    def long(it, session):
        judged.append((session.id, it.input.text))
        return len(it.output.text)

    assert evaluate(store, long).made == 3
    write(turn("a", asked="More?", number=3, start=START + 90 * SECOND))
    run = evaluate(store, long)
    assert (run.made, run.fresh) == (1, 3)
    assert judged[3:] == [("a", "More?")]
    roots = {it.root_id for it in store.get("a").turns}
    assert {it.root_id for it in evaluations.current(store, session_id="a")} == roots
    # A span that comes late makes only its own turn stale.
    *_, outer = turn("a", number=4, start=START + 95 * SECOND)
    write([outer])
    write(turn("a", number=4, start=START + 95 * SECOND)[:1])
    run = evaluate(store, long)
    assert (run.made, run.fresh) == (1, 4)


def test_calls_are_judged_by_themselves(store, write):
    @evaluator(level="call", version="1")
    def named(call, it, session):
        assert it.session_id == session.id
        return call.name if call.kind == "tool" else None

    run = evaluate(store, named)
    assert (run.made, run.unknown) == (3, 3)
    write(turn("a", number=3, start=START + 90 * SECOND))
    run = evaluate(store, named)
    assert (run.made, run.unknown, run.fresh) == (1, 1, 6)
    assert evaluate(store, named).fresh == 8
    spans = {call.span_id for it in store.get("a").turns for call in it.calls}
    found = evaluations.current(store, session_id="a")
    assert {it.span_id for it in found} == spans
    assert {it.root_id for it in found} == {None}


def test_only_the_sessions_that_are_wanted(store):
    asked = Asked()
    assert evaluate(store, asked.evaluator, sessions={"user": "bob"}).made == 1
    assert evaluate(store, asked.evaluator, sessions=["b"]).fresh == 1
    assert evaluate(store, asked.evaluator, sessions="b").fresh == 1
    assert evaluate(store, asked.evaluator, sessions=()).made == 0
    assert evaluate(store, asked.evaluator, sessions={"limit": 1}).made == 1
    assert asked.sessions == ["b", "a"]
    assert evaluate(store, asked.evaluator, sessions=iter(["a"]), again=True).made == 1
    assert asked.sessions == ["b", "a", "a"]


def test_a_session_is_judged_when_it_is_quiet(tmp_path, write):
    write(turn("old"), turn("new", start=time_ns() - 10 * SECOND))
    with SessionStore(tmp_path / "spans.db") as store:
        asked = Asked()
        run = evaluate(store, asked.evaluator, quiet=timedelta(seconds=600))
        assert (run.made, run.waiting, asked.sessions) == (1, 1, ["old"])
        assert evaluate(store, asked.evaluator, quiet=timedelta(seconds=5)).made == 1


def test_a_session_whose_clock_is_ahead_is_judged_unless_it_has_to_be_quiet(tmp_path, write):
    write(turn("ahead", start=time_ns() + 600 * SECOND))
    with SessionStore(tmp_path / "spans.db") as store:
        asked = Asked()
        assert evaluate(store, asked.evaluator, quiet=timedelta(seconds=5)).waiting == 1
        assert evaluate(store, asked.evaluator).made == 1


def test_a_late_result_of_an_old_state_does_not_replace_a_newer_one(store, write):
    reached, go_on = Event(), Event()

    def slow(session):
        number = len(session.turns)
        if not reached.is_set():
            reached.set()
            assert go_on.wait(60)
        return number

    late = Thread(target=evaluate, args=(store, Asked(slow).evaluator), kwargs={"sessions": ["a"]})
    with SessionStore(store.path) as other:
        late.start()
        assert reached.wait(60)
        write(turn("a", number=3, start=START + 90 * SECOND))
        with closing(connect(store.path)) as connection:  # As if it had been paused for long.
            connection.execute("UPDATE evaluation_claim SET until_ns = 0")
        assert evaluate(other, Asked(slow).evaluator, sessions=["a"]).made == 1
        go_on.set()
        late.join(60)
        assert [it.score for it in evaluations.history(other)] == [3.0, 2.0]
        assert said(other) == {"a": (3.0, None)}
        assert evaluate(other, Asked(slow).evaluator, sessions=["a"]).fresh == 1


def test_nothing_is_said_about_what_was_deleted_meanwhile(store, write):
    """Not of a session that was forgotten, and of what is left of one, what is left is judged."""
    write(turn("b", "eve", "My secret.", number=2, start=START + 90 * SECOND))
    seen = []

    def answer(session):
        words = " ".join(it.input.text for it in session.turns)
        seen.append((session.id, "secret" in words))
        if len(seen) == 1:
            with SessionStore(store.path) as other:
                other.forget(user="eve")
                other.forget(session="a")
        return words

    run = evaluate(store, Asked(answer).evaluator, concurrency=1)
    assert run.made == 1
    assert seen == [("b", True), ("b", False)]
    assert [it.session_id for it in evaluations.history(store)] == ["b"]
    assert "secret" not in evaluations.history(store)[0].label


def test_what_a_part_was_deleted_of_is_judged_again(store, write):
    write(turn("b", "eve", number=2, start=START + 60 * SECOND))
    asked = Asked(lambda session: len(session.turns), version="")
    evaluate(store, asked.evaluator)
    store.forget(user="eve")
    assert evaluate(store, asked.evaluator).made == 1
    assert said(store)["b"] == (1.0, None)
    assert [it.score for it in evaluations.history(store, session_id="b")] == [2.0, 1.0]


def test_a_person_s_word_is_not_replaced(store):
    asked = Asked()
    by_hand = Evaluation("resolved", score=0, session_id="a", annotator_kind="HUMAN")
    evaluations.add(store, by_hand)
    run = evaluate(store, asked.evaluator)
    assert (run.made, run.fresh) == (1, 1)
    assert said(store)["a"] == (0.0, None)
    evaluations.add(store, Evaluation("resolved", session_id="a", annotator_kind="HUMAN"))
    assert evaluate(store, asked.evaluator).made == 1
    assert said(store)["a"] == (1.0, "yes")


def test_calls_are_judged_again_once_when_a_part_of_their_trace_was_deleted(store, write):
    spans = turn("c")
    tool = next(it for it in spans if it.attributes["openinference.span.kind"] == "TOOL")
    tools = [
        replace(
            tool,
            span_id=f"tool-{number:03}".encode(),
            name=f"tool-{number}",
            attributes={**tool.attributes, "user.id": "ada" if number else "eve"},
        )
        for number in range(6)
    ]
    write([*spans, *tools])
    together, lock, called = Barrier(8, timeout=60), Lock(), Counter()

    @evaluator(level="call", version="1")
    def judged(call):
        with lock:
            called[call.span_id] += 1
            is_first_look = called.total() <= 8
        if is_first_look:
            if together.wait() == 0:
                with SessionStore(store.path) as other:
                    other.forget(user="eve")
            together.wait()
        return 1

    run = evaluate(store, judged, sessions=["c"], concurrency=8)
    assert run.made == 7
    assert len(evaluations.history(store, session_id="c")) == 7
    assert max(called.values()) == 2


@pytest.mark.parametrize("identifier", ["", feedback._NOBODY])
def test_a_person_s_word_stands_where_all_is_judged_again(store, identifier):
    asked = Asked()
    by_hand = Evaluation(
        "resolved", score=0, session_id="a", annotator_kind="HUMAN", identifier=identifier
    )
    evaluations.add(store, by_hand)
    assert evaluate(store, asked.evaluator).fresh == 1
    assert evaluate(store, asked.evaluator, again=True).made == 2
    assert resolved(store) == {"a": 0, "b": 1}
    assert len(evaluations.history(store, session_id="a")) == 2
    evaluations.add(store, replace(by_hand, score=None))
    assert evaluate(store, asked.evaluator).made == 1
    assert resolved(store) == {"a": 1, "b": 1}


def resolved(store):
    pytest.importorskip("sqlglot")
    found = figures(store, Metric("it", "avg(resolved)"), by="session")
    return {it.group: it.value for it in found.groups}


@pytest.mark.parametrize("seen", [None, 0])
def test_a_person_s_word_stands_that_was_said_while_the_evaluator_was_at_work(store, seen):
    def answer(session):
        if session.id == "a":
            with SessionStore(store.path) as other:
                word = Evaluation(
                    "resolved", score=0, session_id="a", annotator_kind="HUMAN", seen=seen
                )
                evaluations.add(other, word)
        return True

    asked = Asked(answer)
    assert evaluate(store, asked.evaluator).made == 2
    assert said(store) == {"a": (0.0, None), "b": (1.0, "yes")}
    assert evaluate(store, asked.evaluator).fresh == 2


def test_an_identifier_that_an_evaluator_gives_is_kept(store):
    asked = Asked(lambda _: Evaluation("resolved", score=1, identifier="nightly"))
    evaluate(store, asked.evaluator)
    assert {it.identifier for it in evaluations.current(store)} == {"nightly"}
    assert evaluate(store, asked.evaluator).fresh == 2


def test_it_sees_a_session_with_its_scores_and_reads_its_turns_once(store):
    kept = []

    def answer(session):
        assert session.friction is not None
        assert session.turns[-1] is session.turns[len(session.turns) - 1]
        assert list(session.turns) == [*session.turns[:1], *session.turns[1:]]
        kept.append(session)
        return repr(session.turns)

    assert evaluate(store, Asked(answer).evaluator).made == 2
    assert said(store)["a"] == (None, "<2 turns>")
    assert len(kept[0].turns[:]) == len(kept[0].turns)

    later = []
    evaluate(store, Asked(later.append, version="2").evaluator)
    with pytest.raises(RuntimeError, match="while it is evaluated"):
        later[0].turns[0]
