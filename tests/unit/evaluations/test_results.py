"""Evaluations: the last one of an identity counts, and nothing that was said is overwritten."""

import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest

from clew import evaluations
from clew.evaluations import Evaluation, EvaluationError
from clew.sessions.store import SessionStore
from clew.store.database import StoreError, connect, transaction
from clew.store.writer import Writer
from tests.support.conversation_spans import turn

TRACE, ROOT = b"t" * 16, b"r" * 8


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "kept" / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn())
    with SessionStore(path) as opened:
        yield opened


def said(found):
    return [(it.name, it.identifier, it.score, it.label, it.explanation) for it in found]


def test_what_is_added_is_read_as_it_was(store):
    given = Evaluation(
        name="solved",
        score=0.5,
        label="partly",
        explanation="It was found,\nnot sent. 世界 \u202e",
        session_id="chat-42",
        trace_id=TRACE,
        root_id=ROOT,
        annotator_kind="LLM",
        identifier="judge 3",
        metadata={"model": "m", "prompt": ["a", 1, None]},
        made_ns=1_780_000_000_123_456_789,
        version="2",
        seen=7,
    )
    (number,) = evaluations.add(store, given)
    (found,) = evaluations.current(store, session_id="chat-42")
    assert found.id == number
    for name in Evaluation.__slots__:
        assert name == "id" or getattr(found, name) == getattr(given, name), name
    assert found.made.astimezone(UTC).year == 2026


def test_the_last_of_an_identity_counts_and_the_others_are_history(store):
    for score in (1, 0, 1):
        evaluations.add(store, Evaluation("solved", score=score, session_id="chat-42"))
    assert said(evaluations.current(store)) == [("solved", "", 1.0, None, None)]
    assert [it.score for it in evaluations.history(store)] == [1.0, 0.0, 1.0]


def test_one_that_says_nothing_withdraws(store):
    evaluations.add(store, Evaluation("note", explanation="odd", session_id="chat-42"))
    withdrawal = Evaluation("note", session_id="chat-42")
    assert withdrawal.withdraws
    evaluations.add(store, withdrawal)
    assert evaluations.current(store) == []
    assert [it.withdraws for it in evaluations.history(store)] == [False, True]
    evaluations.add(store, Evaluation("note", explanation="odder", session_id="chat-42"))
    assert [it.explanation for it in evaluations.current(store)] == ["odder"]


def test_the_last_added_counts_also_if_the_clock_went_back(store):
    for made, label in ((9, "first"), (5, "second")):
        evaluations.add(store, Evaluation("a", label=label, session_id="s", made_ns=made))
    assert [it.label for it in evaluations.current(store)] == ["second"]


def test_another_target_name_or_identifier_is_another_identity(store):
    targets = [
        {"session_id": "chat-42"},
        {"session_id": "chat-43"},
        {"session_id": "chat-42", "trace_id": TRACE},
        {"session_id": "chat-42", "trace_id": TRACE, "root_id": ROOT},
        {"session_id": "chat-42", "trace_id": TRACE, "root_id": b"q" * 8},
        {"session_id": "chat-42", "trace_id": TRACE, "span_id": ROOT},
        {"trace_id": TRACE, "root_id": ROOT},
    ]
    given = [
        Evaluation(name, score=1, identifier=who, **target)
        for target in targets
        for name in ("a", "b")
        for who in ("", "kim")
    ]
    evaluations.add(store, *given)
    assert len(evaluations.current(store)) == len(given) == 28
    evaluations.add(store, *given)
    assert len(evaluations.current(store)) == 28
    assert len(evaluations.history(store)) == 56
    assert len(evaluations.current(store, session_id="chat-42", name="a")) == 10
    assert {it.session_id for it in evaluations.current(store, session_id="")} == {""}


def test_those_made_since_then(store):
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    for days in (-1, 0, 1):
        made = int((moment + timedelta(days=days)).timestamp()) * 10**9
        evaluations.add(store, Evaluation("a", score=days, session_id=f"s{days}", made_ns=made))
    assert [it.score for it in evaluations.current(store, name="a", since=moment)] == [0, 1]


def test_all_are_added_or_none(store):
    good = Evaluation("a", score=1, session_id="s")
    with pytest.raises(EvaluationError):
        evaluations.add(store, good, Evaluation("", score=1, session_id="s"))
    assert evaluations.history(store) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": " "}, "name is empty"),
        ({"name": 7}, "name=7 must be a string, not int"),
        ({"annotator_kind": ""}, "annotator_kind is empty"),
        ({"score": float("nan")}, "score=nan must be a finite number"),
        ({"score": 10**400}, "must be a finite number"),
        ({"score": "1"}, "score='1' must be a finite number"),
        ({"label": "x" * 201}, "label has 201 characters; at most 200"),
        ({"explanation": "x" * 50_001}, "explanation has 50,001 characters; at most 50,000"),
        ({"identifier": None}, "identifier=None must be a string"),
        ({"metadata": {"a": object()}}, "cannot be written as a JSON object"),
        ({"metadata": [1]}, "cannot be written as a JSON object"),
        ({"session_id": ""}, "give session_id, trace_id, or both"),
        ({"root_id": ROOT}, "give trace_id, too"),
        ({"trace_id": "74" * 16}, "trace_id='74.* must be 16 bytes"),
        ({"trace_id": TRACE, "span_id": b"s"}, "span_id=b's' must be 8 bytes"),
        ({"made_ns": 2**63}, "must be nanoseconds since 1970"),
    ],
)
def test_what_cannot_be_kept_is_named(store, wrong, message):
    given = {"name": "a", "score": 1, "session_id": "s", **wrong}
    with pytest.raises(EvaluationError, match=message):
        evaluations.add(store, Evaluation(**given))


def test_what_json_cannot_say_becomes_null(store):
    metadata = {"mean": float("nan"), "NaN": "Infinity", "most": [float("inf"), 1]}
    evaluations.add(store, Evaluation("a", score=1, session_id="s", metadata=metadata))
    (found,) = evaluations.history(store)
    assert found.metadata == {"mean": None, "NaN": "Infinity", "most": [None, 1]}
    (row,) = store.sql("SELECT json_extract(metadata, '$.most[1]') AS most FROM evaluations")
    assert row["most"] == 1


def test_an_identifier_may_be_as_long_as_an_id_of_a_user(store):
    evaluations.add(store, Evaluation("a", score=1, session_id="s", identifier="u" * 256))
    with pytest.raises(EvaluationError, match="identifier has 257 characters; at most 256"):
        evaluations.add(store, Evaluation("a", score=1, session_id="s", identifier="u" * 257))


def test_halves_of_characters_are_replaced(store):
    given = Evaluation("a", label="\ud83d", explanation="x\udc00", session_id="s\ud800")
    evaluations.add(store, given)
    (found,) = evaluations.current(store)
    assert (found.label, found.explanation, found.session_id) == ("?", "x?", "s?")


def test_a_store_in_use_is_said_to_be(store, monkeypatch):
    monkeypatch.setattr("clew.evaluations.results._SECONDS", 0.01)
    given = Evaluation("a", score=1, session_id="s")
    busy = pytest.raises(StoreError, match="is being written by another process")
    with closing(connect(store.path)) as other, transaction(other), busy:
        evaluations.add(store, given)
    assert evaluations.history(store) == []


def test_many_add_at_the_same_time_while_spans_are_written(store):
    start = Barrier(5)

    def evaluate(who):
        start.wait()
        for score in range(20):
            given = Evaluation("a", score=score, session_id="chat-42", identifier=f"{who}")
            evaluations.add(store, given)

    def write():
        with closing(connect(store.path)) as connection:
            writer = Writer(connection)
            start.wait()
            for number in range(2, 60):
                writer.add(turn(number=number))

    threads = [Thread(target=evaluate, args=(who,)) for who in range(4)]
    threads.append(Thread(target=write))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(evaluations.history(store)) == 80
    assert {it.score for it in evaluations.current(store)} == {19.0}
    assert len(store.get("chat-42").turns) == 59


def test_views_show_them(store):
    target = {"session_id": "chat-42", "trace_id": TRACE, "root_id": ROOT}
    evaluations.add(store, Evaluation("a", score=0, **target), Evaluation("a", score=1, **target))
    evaluations.add(store, Evaluation("b", label="x", trace_id=TRACE, span_id=ROOT))
    (first, second) = store.sql("SELECT * FROM evaluations ORDER BY id")
    assert (first["score"], first["trace_id"], first["root_id"]) == (1.0, "74" * 16, "72" * 8)
    assert (first["span_id"], second["session_id"], second["root_id"]) == (None, None, None)
    rows = store.sql("SELECT score, is_current FROM evaluation_history ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [(0.0, 0), (1.0, 1), (None, 1)]


def test_the_package_imports_nothing_before_it_is_used():
    code = "import sys, clew.evaluations\nassert not {'sqlite3', 'json'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
