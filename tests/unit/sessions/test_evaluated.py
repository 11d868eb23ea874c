"""Evaluations follow their turn, and are deleted with what they are about."""

from contextlib import closing
from dataclasses import replace

import pytest

from clew import evaluations
from clew.core.errors import ConfigurationError
from clew.evaluations import Evaluation
from clew.sessions import listing
from clew.sessions.listing import Search
from clew.sessions.retention import keep_within
from clew.sessions.store import SessionStore
from clew.store.database import connect, file_size
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn

SECRET = "zanzibarnote"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spans.db"


@pytest.fixture
def write(path):
    def write(*groups):
        with closing(connect(path, create=True)) as connection:
            for spans in groups:
                Writer(connection).add(spans)

    return write


def about(spans, name="thumbs", **more):
    """Return an evaluation of the turn that these spans are."""
    root = next(it for it in spans if it.parent_id is None)
    session = root.attributes.get("session.id", "")
    given = {"trace_id": root.trace_id, "root_id": root.span_id, "session_id": session}
    return Evaluation(name, **{"score": 0, "explanation": SECRET, **given, **more})


def left(store):
    return [it.name for it in evaluations.history(store)]


def test_a_turn_whose_outermost_span_comes_last_keeps_its_evaluations(path, write):
    *inner, outer = turn()
    inner = [replace(it, parent_id=outer.span_id) for it in inner]
    write(inner[1:])
    with SessionStore(path) as store:
        (early,) = store.get("chat-42").turns
        target = {"session_id": "chat-42", "trace_id": early.trace_id, "root_id": early.root_id}
        evaluations.add(store, Evaluation("thumbs", score=1, **target))
        write([*inner[:1], outer])
        (late,) = store.get("chat-42").turns
        assert late.root_id == outer.span_id != early.root_id
        (found,) = evaluations.current(store, session_id="chat-42")
        assert (found.root_id, found.score) == (outer.span_id, 1)
        evaluations.add(store, Evaluation("thumbs", score=0, **{**target, "root_id": late.root_id}))
        assert [it.score for it in evaluations.current(store)] == [0]


def test_a_turn_whose_session_comes_last_keeps_its_evaluations(path, write):
    *inner, outer = turn(tool=False)
    (inner,) = (replace(it, attributes={**it.attributes, "session.id": ""}) for it in inner)
    write([inner])
    with SessionStore(path) as store:
        evaluations.add(store, about([replace(inner, parent_id=None)]))
        write([outer])
        (late,) = store.get("chat-42").turns
        (found,) = evaluations.current(store, session_id="chat-42")
        assert found.root_id == late.root_id


def test_all_summaries_can_be_made_anew(path, write):
    write(turn())
    with SessionStore(path) as store:
        evaluations.add(store, about(turn()), Evaluation("b", score=1, session_id="chat-42"))
        store._connection.execute("UPDATE progress SET value = 0 WHERE name = 'rules'")
        store.list()
        assert left(store) == ["thumbs", "b"]


def test_with_a_session_its_evaluations_are_forgotten(path, write, tmp_path):
    write(turn("s1"), turn("s2"))
    with SessionStore(path) as store:
        kept = about(turn("s2"), "kept", explanation="fine")
        span = turn("s1")[0]
        gone = [
            about(turn("s1")),
            about(turn("s1"), score=1),
            Evaluation("whole", explanation=SECRET, session_id="s1"),
            Evaluation("one", label=SECRET, trace_id=span.trace_id, span_id=span.span_id),
            Evaluation("trace", label=SECRET, trace_id=span.trace_id),
        ]
        evaluations.add(store, kept, *gone)
        assert store.forget(session="s1") == (3, 1)
        assert left(store) == ["kept"]
    assert [it for it in tmp_path.iterdir() if SECRET.encode() in it.read_bytes()] == []


def test_evaluations_of_a_session_without_spans_are_forgotten(path, write, tmp_path):
    write(turn("s1"))
    with SessionStore(path) as store:
        evaluations.add(store, Evaluation("a", explanation=SECRET, session_id="gone"))
        assert store.forget(session="gone") == (0, 0)
        assert left(store) == []
    assert [it for it in tmp_path.iterdir() if SECRET.encode() in it.read_bytes()] == []


def test_with_a_user_evaluations_of_and_by_that_user_are_forgotten(path, write):
    write(
        turn("alone", "ada"),
        turn("shared", "ada"),
        turn("shared", "bob", number=2, start=START + 60 * SECOND),
        turn("other", "bob"),
    )
    person = {"annotator_kind": "HUMAN"}
    with SessionStore(path) as store:
        evaluations.add(
            store,
            Evaluation("1", score=1, session_id="alone"),
            about(turn("alone"), "2"),
            about(turn("shared"), "3"),
            about(turn("other"), "4", identifier="ada", **person),
            about(turn("shared", number=2), "bob's turn"),
            Evaluation("shared session", score=1, session_id="shared"),
            about(turn("other"), "by bob", identifier="bob", **person),
            about(turn("other"), "by a program", identifier="ada"),
        )
        store.forget(user="ada")
        assert left(store) == ["bob's turn", "shared session", "by bob", "by a program"]


def test_a_trace_of_two_sessions_keeps_what_is_said_about_the_other(path, write):
    one, two = turn("s1", tool=False), turn("s2", tool=False)
    two = [
        replace(it, trace_id=one[0].trace_id, span_id=it.span_id[::-1], parent_id=parent)
        for it, parent in zip(two, (b"root...."[::-1], None), strict=True)
    ]
    write(one, two)
    with SessionStore(path) as store:
        assert len(store.list()) == 2
        evaluations.add(store, about(one, "one"), about(two, "two"))
        store.forget(session="s1")
        assert left(store) == ["two"]
        assert [it.id for it in store.list()] == ["s2"]


def test_the_oldest_sessions_go_with_their_evaluations(path, write):
    write(*(turn(f"s{n}", start=START + n * 60 * SECOND) for n in range(4)))
    with SessionStore(path) as store:
        for n in range(4):
            whole = Evaluation(f"whole {n}", score=1, session_id=f"s{n}")
            evaluations.add(store, about(turn(f"s{n}"), f"turn {n}"), whole)
        connection = store._connection
        assert keep_within(connection, float("inf"), START + 130 * SECOND)
        assert left(store) == ["turn 3", "whole 3"]
        assert keep_within(connection, 0, None)
        assert left(store) == []


def test_evaluations_of_what_never_came_get_old_too(path, write):
    write(turn())
    with SessionStore(path) as store:
        old = {"made_ns": START - 9 * SECOND}
        evaluations.add(store, Evaluation("old", score=1, session_id="never", **old))
        evaluations.add(store, Evaluation("new", score=1, session_id="never"))
        evaluations.add(store, Evaluation("known", score=1, session_id="chat-42", **old))
        evaluations.add(store, about(turn(), "turn", **old))
        keep_within(store._connection, float("inf"), START)
        assert left(store) == ["new", "known", "turn"]


def test_the_size_of_evaluations_counts(path, write):
    write(turn())
    with SessionStore(path) as store:
        store.list()
        empty = file_size(store._connection)
        long = {"explanation": "x" * 50_000}
        for number in range(1500):
            given = Evaluation("a", session_id=f"never {number}", made_ns=number, **long)
            if number % 100 == 0:
                evaluations.add(store, given)
        assert file_size(store._connection) > empty + 500_000
        keep_within(store._connection, empty + 100_000, None)
        assert [it.id for it in store.list()] == ["chat-42"]
        assert file_size(store._connection) < empty + 100_000


def test_sessions_are_found_by_what_people_said(path, write, monkeypatch):
    write(*(turn(f"s{n}", start=START + n * 60 * SECOND) for n in range(6)))
    person = {"annotator_kind": "HUMAN"}
    with SessionStore(path) as store:
        evaluations.add(
            store,
            about(turn("s0"), label="bad", **person),
            Evaluation("thumbs", score=1, label="good", session_id="s1", **person),
            Evaluation("note", explanation="odd", session_id="s2", **person),
            Evaluation("solved", score=0, label="bad", session_id="s3"),
            about(turn("s4"), label="bad", **person),
            Evaluation("thumbs", label="bad", trace_id=b"t" * 16, **person),
        )
        evaluations.add(store, about(turn("s4"), score=1, label="good", **person))
        for few in (listing._FEW, 0):
            monkeypatch.setattr(listing, "_FEW", few)
            found = {
                rated: sorted(it.id for it in store.list(rated=rated))
                for rated in ("good", "bad", "any")
            }
            assert found == {"good": ["s1", "s4"], "bad": ["s0"], "any": ["s0", "s1", "s2", "s4"]}
        with pytest.raises(ConfigurationError, match=r"rated='worst' is not known; there are good"):
            store.list(rated="worst")


@pytest.mark.parametrize("few", [True, False])
def test_these_are_found_by_indexes(path, write, few):
    write(turn())
    with SessionStore(path) as store:
        for rated in ("good", "any"):
            (condition,) = Search(rated=rated).conditions()
            where = f"session_id IN ({condition.lookup})" if few else condition.test
            plan = store._connection.execute(
                f"EXPLAIN QUERY PLAN SELECT 1 FROM session WHERE {where}"
            )
            steps = [step for *_, step in plan]
            # In this index are only evaluations by people.
            own = "SCAN evaluation USING INDEX evaluation_by_person" if few else "SCAN session"
            assert all(it.startswith(own) for it in steps if it.startswith("SCAN")), rated
