"""The page of an engine: it opens at once, and shows what is copied as it comes."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from time import monotonic
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from clew.cli._bringing import SessionCopies
from clew.cli._following import Follower
from clew.sessions.opening import copy_of_sessions, copy_place
from clew.sessions.store import SessionStore
from clew.viewer.app import create_app
from tests.release.engines.evaluated_engine import ENGINE, filled, run
from tests.support.generated_stores import generated_store

pytestmark = [
    pytest.mark.skipif(ENGINE not in {"clickhouse", "duckdb"}, reason="asks the same code"),
    pytest.mark.timeout(300),
]
LONG = 120


def test_the_page_opens_and_the_sessions_come(tmp_path):
    first, _ = generated_store(2)
    url = filled(first, tmp_path / "engine")
    wanted = next(it.attributes["session.id"] for it in first if it.attributes.get("session.id"))
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", "view", "--store", url, "--no-browser", "--port", "0"],
        env={**os.environ, "CLEW_STORE": str(tmp_path / "sessions.db")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stderr.readline, "")
        address = next(found[1] for it in lines if (found := re.search(r"at (http://\S+/)$", it)))
        assert next(lines) == "Ctrl-C ends it.\n"
        until = monotonic() + LONG
        page = f"{address}session?id={quote(wanted)}"
        while (status := status_of(page)) in {0, 202} and monotonic() < until:
            pass
        assert status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def status_of(address):
    """Return the status of an answer; 0 if the server does not listen yet."""
    try:
        with urlopen(address, timeout=60) as answer:
            return answer.status
    except HTTPError as error:
        error.close()
        return error.code
    except URLError:
        return 0


def test_what_comes_later_is_copied_while_the_page_is_open(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(2)
    support = import_module(f"tests.release.engines.{ENGINE}_support")
    url = support.fill(first, tmp_path / "engine")
    path, said = copy_place(url), []
    with Follower(url, said.append, seconds=0.1):
        until_there(path, first)
        support.more(late, url, tmp_path / "engine")
        until_there(path, [*first, *late])
    assert not said


def until_there(path, spans):
    wanted = {it.span_id for it in spans}
    until = monotonic() + LONG
    with closing(sqlite3.connect(path)) as connection:
        found = set()
        while found != wanted and monotonic() < until:
            found = {span for (span,) in connection.execute("SELECT span_id FROM span")}
    assert found == wanted


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine of which nothing has been copied, and its spans."""
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    first, late = generated_store(3)
    return filled([*first, *late], tmp_path / "engine"), [*first, *late]


def sessions_of(spans):
    ids = {it.attributes.get("session.id") for it in spans} - {None, ""}
    return sorted(ids, key=lambda it: (it.isascii(), it))


def spans_of(spans, session):
    """Return the ids of all spans in the traces of a session."""
    traces = {it.trace_id for it in spans if it.attributes.get("session.id") == session}
    return {(it.trace_id, it.span_id) for it in spans if it.trace_id in traces}


def copied(path):
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT trace_id, span_id FROM span"))


def test_a_session_that_is_asked_for_comes_before_the_others(engine):
    url, spans = engine
    path = copy_place(url)
    source = Follower(url, pytest.fail)  # Nothing is copied but what is asked for.
    for session in sessions_of(spans)[:2]:
        before = copied(path)
        with TestClient(create_app(path, source=source), base_url="http://localhost") as page:
            address = f"/session?id={quote(session)}"
            while (answer := page.get(address)).status_code == 202:
                assert answer.headers["Refresh"] == "1"
                assert "on its way" in answer.text
        assert answer.status_code == 200
        assert "Still copying from" in answer.text
        assert copied(path) == before | spans_of(spans, session)


def test_a_session_that_is_nowhere_is_not_found(engine):
    url, _ = engine
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    with TestClient(app, base_url="http://localhost") as page:
        while (answer := page.get("/session?id=nobody")).status_code == 202:
            pass
        assert answer.status_code == 404
        assert "There is no session" in answer.text
        assert page.get("/session?id=nobody").status_code == 404


def test_sessions_to_compare_and_to_take_away_come_too(engine):
    url, spans = engine
    left, right = sessions_of(spans)[:2]
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    with TestClient(app, base_url="http://localhost") as page:

        def answer_of(address):
            while (answer := page.get(address)).status_code == 202:
                assert answer.headers["Retry-After"] == "1"
            return answer

        file = answer_of(f"/session.json?id={quote(left)}")
        assert file.status_code == 200
        assert file.json()["id"] == left
        assert copied(copy_place(url)) == spans_of(spans, left)
        compared = answer_of(f"/compare?a={quote(left)}&b={quote(right)}")
        assert compared.status_code == 200
        assert "of turns: in " in compared.text
        assert copied(copy_place(url)) >= spans_of(spans, right)
        unknown = answer_of(f"/compare?a={quote(left)}&b=nobody")
        assert unknown.status_code == 404
        assert "nobody" in unknown.text
        nowhere = answer_of("/session.json?id=nobody")
        assert nowhere.status_code == 404
        assert nowhere.headers["Content-Type"].startswith("text/plain")
        assert "There is no session 'nobody'" in nowhere.text


def test_it_is_said_why_a_session_does_not_come(engine, monkeypatch):
    url, _ = engine
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    folder = url.partition(":")[2]
    broken = f"duckdb:{folder}-gone" if ENGINE == "duckdb" else "clickhouse://127.0.0.1:9/default"
    copies = SessionCopies(broken)
    monkeypatch.setattr(app.state.source, "_sessions", copies)
    with TestClient(app, base_url="http://localhost") as page:
        while (answer := page.get("/session?id=chat-42")).status_code == 202:
            pass
    assert answer.status_code == 503
    assert answer.headers["Refresh"] == "5"
    assert "gone" in answer.text if ENGINE == "duckdb" else "127.0.0.1:9" in answer.text


def test_what_was_deleted_on_the_engine_is_no_longer_in_a_session(engine):
    url, spans = engine
    session = sessions_of(spans)[0]
    path, traces = copy_of_sessions(url, [session])
    wanted = spans_of(spans, session)
    assert traces == len({trace for trace, _ in wanted})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE span SET span_id = x'0123456789abcdef' WHERE id = 1")
    copy_of_sessions(url, [session])
    assert copied(path) == wanted


def test_the_sessions_of_an_engine_are_exported_without_the_others(engine, tmp_path):
    url, spans = engine
    session = sessions_of(spans)[0]
    run("view", "--export", str(tmp_path / "out"), session, "--store", url)
    (file,) = (tmp_path / "out").iterdir()
    assert f"{session}</" in file.read_text()
    path = copy_place(url)
    assert copied(path) == spans_of(spans, session)
    with SessionStore(path) as store:
        assert session in {it.id for it in store.list()}
    run(
        "view",
        "--export",
        str(tmp_path / "worst"),
        "--order",
        "worst",
        "--limit",
        "2",
        "--store",
        url,
    )
    assert len(list((tmp_path / "worst").iterdir())) == 1
    assert copied(path) < {(it.trace_id, it.span_id) for it in spans}


@pytest.mark.parametrize("page", ["/trace", "/span", "/trace.json", "/turn"])
def test_a_trace_comes_with_the_sessions_it_is_in(engine, page):
    url, spans = engine
    wanted = next(it for it in spans if it.attributes.get("session.id"))
    app = create_app(copy_place(url), source=Follower(url, pytest.fail))
    with TestClient(app, base_url="http://localhost") as client:
        trace, span = wanted.trace_id.hex(), wanted.span_id.hex()
        address = f"{page}?trace={trace}&span={span}&turn={trace}-{span}"
        while (answer := client.get(address)).status_code == 202:
            assert "This trace is on its way" in answer.text
        assert answer.status_code == 200
        assert copied(copy_place(url)) >= spans_of(spans, wanted.attributes["session.id"])
        # What is there is not brought again, though the address names what is not.
        unknown = client.get(f"/span?trace={trace}&span={'00' * 8}")
        assert unknown.status_code == 404
        assert "there is no span 0000000000000000 in the trace" in unknown.text
        while (nowhere := client.get(f"/trace?trace={'ff' * 16}")).status_code == 202:
            pass
        assert nowhere.status_code == 404
        assert "There is no trace ffff" in nowhere.text


def test_a_trace_that_is_in_no_session_comes_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_STORE", str(tmp_path / "sessions.db"))
    spans = [it for it in generated_store(3)[0] if not it.attributes.get("session.id")]
    url, wanted = filled(spans, tmp_path / "engine"), spans[0].trace_id
    path = copy_place(url)
    with TestClient(
        create_app(path, source=Follower(url, pytest.fail)), base_url="http://localhost"
    ) as client:
        while (answer := client.get(f"/trace?trace={wanted.hex()}")).status_code == 202:
            pass
    assert answer.status_code == 200
    assert {trace for trace, _ in copied(path)} == {wanted}
