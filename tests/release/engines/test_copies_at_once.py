"""Several copies of an engine that are made at once, by threads of the page or by processes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Queue
from threading import Event
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from clew import evaluations, sessions
from clew.cli._bringing import SessionCopies
from clew.cli._following import Follower
from clew.evaluations import Evaluation
from clew.sessions.engines import copied_evaluations, copying
from clew.sessions.engines.errors import EngineError
from clew.sessions.opening import copy_of, copy_of_sessions, copy_place
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.viewer.app import create_app
from tests.release.engines.evaluated_engine import ENGINE, filled, run, with_tables
from tests.support.conversation_spans import SECOND, START, turn

pytestmark = [
    pytest.mark.skipif(ENGINE not in {"clickhouse", "duckdb"}, reason="asks the same code"),
    pytest.mark.timeout(300),
]
LONG = 60
SPANS = [
    *turn("a"),
    *turn("a", number=2, start=START + 60 * SECOND),
    *turn("b", user="ben", start=START + 60 * SECOND),
]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))


def on_engine(url):
    with sessions.open(url) as store:
        return [(it.session_id, it.name) for it in evaluations.history(store)]


def test_what_was_said_in_a_copy_is_sent_once(tmp_path, monkeypatch):
    url = with_tables(SPANS, tmp_path / "engine")
    with SessionStore(copy_of(url)) as copy:
        evaluations.add(copy, Evaluation("solved", score=1, session_id="a"))
    inside, another, send = [], Event(), copied_evaluations.send

    def watched(*arguments):
        inside.append(None)
        if len(inside) > 1:
            another.set()
        another.wait(0.5)
        sent = send(*arguments)
        inside.pop()
        return sent

    monkeypatch.setattr(copying, "send", watched)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda it: copy_of_sessions(url, [it]), ["a", "b", "a"]))
    assert not another.is_set()
    assert on_engine(url) == [("a", "solved")]


def test_a_copy_is_made_although_the_engine_has_something_twice(tmp_path):
    url = with_tables(SPANS, tmp_path / "engine")
    with sessions.open(url) as store:
        evaluations.add(store, Evaluation("solved", score=1, session_id="a"))
        store.tables.execute("INSERT INTO clew_evaluations SELECT * FROM clew_evaluations")
    with SessionStore(copy_of(url)) as copy:
        assert [it.name for it in evaluations.history(copy)] == ["solved"]


def test_a_copy_that_has_asked_before_deletes_nothing_that_came_later(tmp_path, monkeypatch):
    url = filled(SPANS, tmp_path / "engine")
    newest = max(SPANS, key=lambda it: it.start)
    asked = copying.spans_of_traces

    def asked_before(*arguments):
        """Return an older answer; meanwhile somebody else copies with a newer one."""
        monkeypatch.setattr(copying, "spans_of_traces", asked)
        copy_of_sessions(url, ["a", "b"])
        return [it for it in asked(*arguments) if it.span_id != newest.span_id]

    monkeypatch.setattr(copying, "spans_of_traces", asked_before)
    path = copy_of(url)
    with closing(connect(path)) as connection:
        found = {span for (span,) in connection.execute("SELECT span_id FROM span")}
    assert found == {it.span_id for it in SPANS}


def test_all_who_ask_for_a_session_get_it(tmp_path):
    url = filled(SPANS, tmp_path / "engine")
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    with TestClient(app, base_url="http://localhost") as page, ThreadPoolExecutor(6) as pool:

        def status(session):
            while (answer := page.get(f"/session?id={quote(session)}")).status_code == 202:
                pass
            return answer.status_code

        assert list(pool.map(status, "aababb")) == [200] * 6


def test_a_session_is_summarised_and_scored_before_what_came_earlier(tmp_path):
    url = filled(SPANS, tmp_path / "engine")
    path = copy_of(url)
    copies = SessionCopies(url)
    assert copies.bring("a", LONG).traces == 2
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT session_id, turns, scored > 0 FROM session").fetchall()
    assert rows == [("a", 2, 1)]


def test_spans_are_not_received_by_the_page_of_an_engine(tmp_path):
    url = filled(SPANS, tmp_path / "engine")
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    with TestClient(app, base_url="http://localhost") as page:
        answer = page.post(
            "/v1/traces", content=b"", headers={"Content-Type": "application/x-protobuf"}
        )
    assert answer.status_code == 403
    assert b"send spans there" in answer.content


def test_what_was_rated_on_the_page_is_exported(tmp_path):
    url = filled(SPANS, tmp_path / "engine")
    with SessionStore(copy_of(url)) as copy:
        said = Evaluation("thumbs", label="bad", session_id="b", annotator_kind="HUMAN")
        evaluations.add(copy, said)
    run("view", "--export", str(tmp_path / "out"), "--rated", "bad", "--store", url)
    (file,) = (tmp_path / "out").iterdir()
    assert "ben" in file.read_text()


def test_a_copy_does_not_fill_the_disk_up(tmp_path, monkeypatch):
    url = filled(SPANS, tmp_path / "engine")
    said = Queue()
    with monkeypatch.context() as small:
        small.setattr(copying, "disk_usage", lambda _: SimpleNamespace(free=999_999_999))
        with pytest.raises(EngineError, match=r"only 999 MB of that disk.* \?since=7d"):
            copy_of(url)
        with Follower(url, said.put):
            assert "does not go on, as only 999 MB" in said.get(timeout=60)
    with SessionStore(copy_of(url)) as copy:
        assert {it.id for it in copy.list()} == {"a", "b"}
