"""What evaluators and people say is kept on an engine with clew's tables, for all who read it."""

import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from clew import evaluations, sessions
from clew.evaluations import Evaluation, EvaluationError, evaluate, evaluator
from clew.evaluations.running.engine_claims import EngineClaims, Key
from clew.evaluations.wire import carriers_of
from clew.sessions.engines.copied_evaluations import LEAVING
from clew.sessions.opening import copy_of, send_back
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.store.database import connect
from tests.integration.viewer.forms import actions, token
from tests.integration.viewer.server import serving
from tests.release.engines import duckdb_support
from tests.release.engines.evaluated_engine import (
    ENGINE,
    evals_file,
    filled,
    more,
    run,
    with_tables,
)
from tests.support.conversation_spans import SECOND, START, turn

if ENGINE not in {"duckdb", "clickhouse"}:
    pytest.skip("run nox -s engines", allow_module_level=True)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Have a place for what is kept on this machine; return what goes to another one."""

    def go_to(name):
        monkeypatch.setenv("CLEW_STORE", str(tmp_path / name / "sessions.db"))

    go_to("here")
    return go_to


@pytest.fixture
def url(tmp_path):
    spans = [*turn("a"), *turn("a", number=2, start=START + 60 * SECOND), *turn("b")]
    return with_tables(spans, tmp_path)


def asked():
    """Return three evaluators, one of each level, and what they were asked about."""
    seen = []

    @evaluator(version="1")
    def turns(session):
        seen.append(session.id)
        return len(session.turns)

    @evaluator(level="turn", version="1")
    def words(turn):
        seen.append("turn")
        return len(turn.output.text.split())

    @evaluator(level="call", version="1")
    def named(call):
        seen.append("call")
        return call.kind

    return [turns, words, named], seen


def figures(run):
    return {name: (of.made, of.fresh) for name, of in run.of.items()}


def said(store, **chosen):
    return [(it.session_id, it.name, it.score) for it in evaluations.current(store, **chosen)]


def test_what_was_said_is_there_for_others_and_is_not_paid_for_again(url, machine):
    several, seen = asked()
    with sessions.open(url) as store:
        assert figures(evaluate(store, several)) == {
            "turns": (2, 0),
            "words": (3, 0),
            "named": (6, 0),
        }
        assert len(seen) == 11
    machine("elsewhere")
    with sessions.open(url) as store:
        assert sorted(said(store, name="turns")) == [("a", "turns", 2.0), ("b", "turns", 1.0)]
        (verdict, _) = evaluations.current(store, session_id="a", name="words")
        read = {it.trace_id: it.root_id for it in store.get("a").turns}
        assert read[verdict.trace_id] == verdict.root_id
        assert evaluate(store, several).fresh == 11
        (row,) = store.sql(
            "SELECT count(*) AS n, min(is_current) AS current_ones FROM evaluation_history"
        )
        assert row == {"n": 11, "current_ones": 1}
    assert len(seen) == 11
    assert '"fresh": 2' in run("evaluate", "--store", url, "--json", evals_file())
    assert "turns" in run("metrics", "--store", url, "avg(turns)")


def test_what_goes_on_is_looked_at_again_and_the_history_stays(url, tmp_path):
    several, _ = asked()
    with sessions.open(url) as store:
        evaluate(store, several)
    more(turn("b", number=2, start=START + 60 * SECOND), url, tmp_path)
    with sessions.open(url) as store:
        again = evaluate(store, several)
        assert figures(again) == {"turns": (1, 1), "words": (1, 3), "named": (2, 6)}
        assert sorted(said(store, name="turns")) == [("a", "turns", 2.0), ("b", "turns", 2.0)]
        assert [it.score for it in evaluations.history(store, session_id="b", name="turns")] == [
            1,
            2,
        ]


def test_what_came_in_spans_is_fresh_until_there_is_a_new_version(tmp_path):
    (first, *_), later = turn("a"), START + 60 * SECOND
    of_turn = Evaluation(
        "words", score=9, session_id="a", trace_id=first.trace_id, root_id=b"root....", version="1"
    )
    of_session = replace(of_turn, name="turns", trace_id=None, root_id=None)
    carriers = carriers_of([replace(it, made_ns=later) for it in (of_turn, of_session)])
    url = with_tables([*turn("a"), *turn("a", number=2), *carriers], tmp_path)
    several, _ = asked()
    with sessions.open(url) as store:
        assert figures(evaluate(store, several[:2])) == {"turns": (0, 1), "words": (1, 1)}
        newer = [replace(it, version="2") for it in several[:2]]
        assert figures(evaluate(store, newer)) == {"turns": (1, 0), "words": (2, 0)}
        assert {it.version for it in evaluations.current(store)} == {"2"}
        assert evaluate(store, newer).fresh == 3


def test_a_new_version_says_it_anew_and_the_old_one_stays(url):
    def of(version):
        @evaluator(name="polite", version=version, level="turn")
        def polite(turn):
            return float(version)

        return polite

    with sessions.open(url) as store:
        assert evaluate(store, of("1")).made == 3
        assert evaluate(store, of("2")).made == 3
        assert {it.version for it in evaluations.current(store)} == {"2"}
        assert [it.version for it in evaluations.history(store)] == ["1"] * 3 + ["2"] * 3
        rows = store.sql("SELECT version, is_current FROM evaluation_history")
        assert {(row["version"], row["is_current"]) for row in rows} == {("1", 0), ("2", 1)}
        assert evaluate(store, of("2"), again=True).made == 3


def test_what_a_person_says_stands_until_it_is_withdrawn(url):
    several, seen = asked()
    mark = Evaluation("turns", score=9, session_id="a", annotator_kind="HUMAN")
    with sessions.open(url) as store:
        (first,) = evaluations.add(store, mark)
        assert figures(evaluate(store, several[0])) == {"turns": (1, 1)}
        assert sorted(said(store)) == [("a", "turns", 9.0), ("b", "turns", 1.0)]
        assert figures(evaluate(store, several[0], again=True)) == {"turns": (2, 0)}
        assert sorted(said(store)) == [("a", "turns", 9.0), ("b", "turns", 1.0)]
        withdrawn = Evaluation("turns", session_id="a", annotator_kind="HUMAN")
        (second,) = evaluations.add(store, withdrawn)
        seen.clear()
        assert second > first
        assert figures(evaluate(store, several[0])) == {"turns": (1, 1)}
        assert sorted(said(store)) == [("a", "turns", 2.0), ("b", "turns", 1.0)]
    assert seen == ["a"]


def test_an_evaluator_that_fails_has_said_nothing_and_is_asked_again(url):
    is_away = True

    @evaluator(version="1")
    def judged(session):
        if is_away and session.id == "b":
            message = "nobody answers"
            raise LookupError(message)
        return True

    with sessions.open(url) as store:
        first = evaluate(store, judged)
        assert (first.made, first.failed) == (1, 1)
        assert said(store) == [("a", "judged", 1.0)]
        (row,) = store.sql("SELECT session_id, error FROM clew_evaluation_errors")
        assert row == {"session_id": "b", "error": "LookupError: nobody answers"}
        is_away = False
        assert figures(evaluate(store, judged)) == {"judged": (1, 1)}


def test_sessions_are_chosen_as_in_a_store(url):
    several, seen = asked()
    with sessions.open(url) as store:
        assert evaluate(store, several[0], sessions={"user": "nobody"}).made == 0
        assert evaluate(store, several[0], sessions=["b"]).made == 1
        assert evaluate(store, several[0], sessions={"limit": 1, "order_by": "turns"}).made == 1
        assert seen == ["b", "a"]
        with pytest.raises(SessionNotFoundError, match="no session"):
            evaluate(store, several[0], sessions=["\ud800"])
        with pytest.raises(SessionNotFoundError, match="no session 'c'"):
            evaluate(store, several[0], sessions=["c"])


def test_only_the_time_is_paid_for_that_the_url_chooses(tmp_path):
    spans = [*turn("old", start=START - 40 * 86_400 * SECOND), *turn("new")]
    url = with_tables(spans, tmp_path)
    run("engines", "update", "--store", url)
    several, seen = asked()
    with sessions.open(f"{url}?since=2026-05-01") as store:
        assert figures(evaluate(store, several[0])) == {"turns": (1, 0)}
    with sessions.open(f"{url}?until=2026-05-01") as store:
        assert figures(evaluate(store, several[0])) == {"turns": (1, 0)}
    assert seen == ["new", "old"]


def test_without_tables_what_is_said_stays_in_a_copy_and_that_is_told(tmp_path):
    url = filled(turn("a"), tmp_path)
    output = run("evaluate", "--store", url, "--json", evals_file())
    assert f"clew engines init --store {url}" in output
    assert '"made": 1' in output
    with sessions.open(url) as store:
        assert evaluations.current(store) == []
        for do in (
            lambda: evaluations.add(store, Evaluation("x", score=1, session_id="a")),
            lambda: evaluate(store, asked()[0]),
        ):
            with pytest.raises(EvaluationError, match="clew engines init --store"):
                do()


def test_what_was_said_is_forgotten_with_what_it_is_about(tmp_path):
    spans = [*turn("a"), *turn("a", "bob", number=2, start=START + 60 * SECOND), *turn("b", "bob")]
    url = with_tables(spans, tmp_path)
    several, seen = asked()
    by_bob = Evaluation("thumbs", score=1, session_id="a", annotator_kind="HUMAN", identifier="bob")
    with sessions.open(url) as store:
        evaluate(store, several[:2])
        evaluations.add(store, by_bob, replace(by_bob, identifier="ada"))
        store.forget(user="bob")
        kept = [(it.session_id, it.name, it.identifier) for it in evaluations.history(store)]
        assert sorted(kept) == [("a", "thumbs", "ada"), ("a", "turns", ""), ("a", "words", "")]
        seen.clear()
        # A part of what was seen of the session is gone.
        assert figures(evaluate(store, several[:2])) == {"turns": (1, 0), "words": (0, 1)}
        assert said(store, name="turns") == [("a", "turns", 1.0)]
        store.forget(session="a")
        assert evaluations.history(store) == []


def test_what_is_said_about_a_session_that_is_forgotten_meanwhile_is_not_kept(url):
    with sessions.open(url) as store:

        @evaluator(version="1")
        def slow(session):
            if session.id == "b":
                store.forget(session="b")
            return True

        run = evaluate(store, slow)
        assert (run.made, run.failed) == (1, 0)
        assert [it.session_id for it in evaluations.history(store)] == ["a"]
        assert [it.id for it in store.list()] == ["a"]


@pytest.mark.skipif(ENGINE != "duckdb", reason="of ClickHouse, processes do it")
def test_of_many_who_want_the_same_ranges_at_a_time_each_has_others(tmp_path):
    from clew.sessions.engines.duckdb_engine import local_tables

    keys = [Key(number, "judged") for number in range(6)]
    taken, twice = Counter(), []
    with closing(local_tables(tmp_path / "tables.duckdb")) as engine:
        for statement in engine.table_statements():
            engine.execute(statement)

        def work(_):
            claims = EngineClaims(engine)
            everybody.append(claims)
            for _ in range(8):
                mine = claims.take(keys)
                for key in mine:
                    if not all(other is claims or not other.holds(key) for other in everybody):
                        twice.append(key)
                    taken[key] += 1
                claims.release(mine)
            claims.close()

        everybody = []
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    assert twice == []
    assert taken.total() > len(keys)


@pytest.mark.skipif(ENGINE != "duckdb", reason="Parquet is read by DuckDB")
def test_of_files_what_is_said_stays_in_a_copy_and_that_is_told(tmp_path):
    url = duckdb_support.fill(turn("a"), tmp_path)
    output = run("evaluate", "--store", url, "--json", evals_file())
    assert f"{url} are only files" in output
    assert '"made": 1' in output
    assert '"fresh": 1' in run("evaluate", "--store", url, "--json", evals_file())
    with sessions.open(url) as store, pytest.raises(EvaluationError, match="are only files"):
        evaluate(store, asked()[0])


@pytest.mark.skipif(ENGINE != "duckdb", reason="several processes may write to ClickHouse")
def test_two_processes_share_no_duckdb_file(url):
    with sessions.open(url):
        command = [sys.executable, "-m", "clew", "evaluate", "--store", url, evals_file()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DuckDB lets one process write a file" in done.stderr


def test_the_page_shows_what_was_said_and_what_is_said_there_goes_back(url, tmp_path):
    several, _ = asked()
    with sessions.open(url) as store:
        evaluate(store, several)
    place = tmp_path / "here" / "sessions.db"
    place.parent.mkdir(parents=True, exist_ok=True)
    with serving(place, "--store", url) as (address, process):
        html, shown = "", '<ul class="verdicts"'
        while shown not in html:  # They come after the spans.
            with urlopen(f"{address}session?id=a", timeout=20) as answer:
                html = answer.read().decode()
        assert html.count('<ul class="verdicts"') == 3  # Of the session, and of its two turns.
        assert "out of date" not in html
        form = urlencode({"form_token": token(html), "thumbs": "bad", "note": "Too slow."})
        to = address.rstrip("/") + actions(html)[0]
        headers = {"Origin": address.rstrip("/")}
        with urlopen(Request(to, form.encode(), headers), timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    with sessions.open(url) as store:
        people = [it for it in evaluations.current(store) if it.annotator_kind == "HUMAN"]
        assert {(it.session_id, it.name, it.label, it.explanation, it.seen) for it in people} == {
            ("a", "thumbs", "bad", None, 6),
            ("a", "note", None, "Too slow.", 6),
        }
        assert [it.id for it in store.list(rated="bad")] == ["a"]
        assert evaluate(store, several).fresh == 11


def in_copy(url):
    with SessionStore(copy_of(url)) as store:
        return [(it.session_id, it.name, it.score) for it in evaluations.current(store)]


def test_a_copy_has_what_the_engine_has_however_often_it_is_brought_up_to_date(url, tmp_path):
    several, _ = asked()
    with sessions.open(url) as store:
        evaluate(store, several[:2])
    assert len(in_copy(url)) == len(in_copy(url)) == 5
    with SessionStore(copy_of(url)) as copy:
        # Everything that is there has been seen.
        assert evaluate(copy, several[:2]).fresh == 5
        evaluations.add(copy, Evaluation("solved", score=1, session_id="b"))
        evaluations.add(copy, Evaluation("solved", score=0, session_id="b"))
    assert ("b", "solved", 0.0) in in_copy(url)
    with sessions.open(url) as store:
        assert [it.score for it in evaluations.history(store, name="solved")] == [1.0, 0.0]
        assert said(store, name="solved") == [("b", "solved", 0.0)]
        evaluations.add(store, Evaluation("solved", session_id="b"))
    assert [it for it in in_copy(url) if it[1] == "solved"] == []
    more(turn("b", number=2, start=START + 60 * SECOND), url, tmp_path)
    with SessionStore(copy_of(url)) as copy:
        assert evaluate(copy, several[0]).made == 1
    with sessions.open(url) as store:
        assert evaluate(store, several[0]).made == 1  # The copy has not told it yet.
    copy_of(url)
    with sessions.open(url) as store:
        assert len(evaluations.history(store, session_id="b", name="turns")) == 3
        store.forget(session="b")
    assert {it[0] for it in in_copy(url)} == {"a"}


def test_what_was_on_its_way_when_a_copy_was_left_is_sent_once(url):
    with SessionStore(copy_of(url)) as copy:
        evaluations.add(copy, Evaluation("solved", score=1, session_id="b"))
    path = copy_of(url)
    with closing(connect(path)) as connection:  # As if it had been killed before it noted that.
        leaving = "UPDATE evaluation SET carrier = ? || substr(carrier, 17, 8)"
        connection.execute(leaving.replace("?", "CAST(? AS BLOB)"), (LEAVING,))
        connection.execute("UPDATE evaluation SET carrier = CAST(carrier AS BLOB)")
    send_back(url)
    with sessions.open(url) as store:
        assert len(evaluations.history(store)) == 1
    assert in_copy(url) == [("b", "solved", 1.0)]
