"""What was said in a store counts in a copy of its export, too, and is not paid for again.

The engine has no tables of clew's: what is said is carried by spans, which come in any order.
"""

import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from clew import evaluations, sessions
from clew.evaluations import Evaluation, evaluate
from clew.evaluations.stored import carriers_with_ids, evaluations_to_export
from clew.sessions.opening import copy_of, copy_of_sessions
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.release.engines.evaluated_engine import ENGINE, filled, more, run, with_tables
from tests.support import counting_evaluators
from tests.support.conversation_spans import SECOND, turn

pytestmark = [
    pytest.mark.skipif(ENGINE not in {"clickhouse", "duckdb"}, reason="asks the same code"),
    pytest.mark.timeout(600),
]
DAY = 86_400 * SECOND
START = 1_600_000_000 * SECOND
"""Long ago: what is said today comes after it."""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store with conversations of several days; copies are put beside it."""
    path = tmp_path / "spans.db"
    monkeypatch.setenv("CLEW_STORE", str(path))
    shutil.copy(counting_evaluators.__file__, tmp_path / "evals.py")
    write(path, *(turn(f"s{number}", start=START + number // 3 * DAY) for number in range(9)))
    return path


def write(path, *groups):
    with closing(connect(path, create=True)) as connection:
        for spans in groups:
            Writer(connection).add(spans)


def exported(path):
    """Return what an export has: spans, and those that carry evaluations."""
    with closing(connect(path)) as connection:
        spans = [span for _, span in spans_after(connection)]
        ids = evaluations_to_export(connection, chosen=False)
        return [*spans, *carriers_with_ids(connection, ids)]


def made(store):
    """Evaluate what is not yet; return how much each evaluator has said."""
    file = Path(os.environ["CLEW_STORE"]).parent / "evals.py"
    output = run("evaluate", "--store", str(store), "--json", str(file))
    found = json.JSONDecoder().raw_decode(output[output.index("{") :])[0]
    return {name: it["made"] for name, it in found["evaluators"].items()}


def rate(path, score):
    with SessionStore(path) as store:
        for number in range(9):
            said = {"annotator_kind": "HUMAN", "identifier": "ada", "session_id": f"s{number}"}
            evaluations.add(store, Evaluation("helpful", score=score, **said))


def current(path):
    with SessionStore(path) as store:
        found = evaluations.current(store)
    names = ("session_id", "trace_id", "root_id", "span_id", "name", "score", "label")
    return sorted(repr([getattr(it, name) for name in names]) for it in found)


def test_what_was_judged_is_not_judged_again_until_it_goes_on(path, tmp_path):
    assert made(path) == {"turns": 9, "words": 9, "named": 18}
    url = filled(exported(path), tmp_path / "engine")
    assert made(url) == {"turns": 0, "words": 0, "named": 0}
    more(turn("s1", number=2, start=2 * START), url, tmp_path / "engine")
    assert made(url) == {"turns": 1, "words": 1, "named": 2}
    assert made(url) == {"turns": 0, "words": 0, "named": 0}


@pytest.mark.skipif(ENGINE != "duckdb", reason="reads Parquet")
def test_nor_is_it_in_a_folder_of_an_export(path, tmp_path):
    assert made(path) == {"turns": 9, "words": 9, "named": 18}
    run("export", "--to", "parquet", f"{tmp_path}/lake/")
    url = f"parquet:{tmp_path}/lake"
    assert made(url) == {"turns": 0, "words": 0, "named": 0}
    write(path, turn("s1", number=2, start=2 * START))
    run("export", "--to", "parquet", f"{tmp_path}/lake/")
    assert made(url) == {"turns": 1, "words": 1, "named": 2}
    assert made(url) == {"turns": 0, "words": 0, "named": 0}


def test_what_was_corrected_or_withdrawn_stays_so(path, tmp_path):
    rate(path, 1.0)
    rate(path, 0.0)
    before = exported(path)
    url = filled(before, tmp_path / "engine")
    assert current(copy_of_sessions(url, ["s4", "s0"]).path) == [
        it for it in current(path) if "'s4'" in it or "'s0'" in it
    ]
    assert current(copy_of(url)) == current(path)
    rate(path, None)
    rate(path, 0.5)
    rate(path, None)
    known = {it.span_id for it in before if it.attributes["openinference.span.kind"] == "EVALUATOR"}
    later = [
        it
        for it in exported(path)
        if it.attributes["openinference.span.kind"] == "EVALUATOR" and it.span_id not in known
    ]
    more(later, url, tmp_path / "engine")
    assert current(copy_of(url)) == current(path) == []


def test_what_never_counted_does_not_count_on_an_engine_with_tables(path, tmp_path):
    person = Evaluation("turns", score=9.0, session_id="s0", annotator_kind="HUMAN")
    with SessionStore(path) as store:
        evaluations.add(store, person)
        evaluate(store, counting_evaluators.turns, again=True)
    url = with_tables(exported(path), tmp_path / "engine")
    for place in (path, copy_of(url), url):
        with sessions.open(place) as store:
            assert [it.score for it in evaluations.current(store, session_id="s0")] == [9.0]


def test_what_is_on_the_engine_stays_fresh_where_its_session_is_copied_day_by_day(path, tmp_path):
    write(path, turn("s0", number=2, start=START + DAY))
    url = with_tables(exported(path), tmp_path / "engine")
    with sessions.open(url) as store:
        assert evaluate(store, counting_evaluators.turns).made == 9
    copy_of(f"{url}?since=2020-09-14")
    with SessionStore(copy_of(url)) as copy:
        assert evaluate(copy, counting_evaluators.turns).fresh == 9
