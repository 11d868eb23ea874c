"""Pages do not wait until a large import is summarised: a thread does it, and they say so."""

import pytest

for _needed in ("starlette", "nh3", "jinja2", "httpx"):  # httpx: for its test client
    pytest.importorskip(_needed)

from clew.sessions import store as sessions_store
from clew.store.database import connect
from clew.store.writer import Writer
from clew.viewer import catching_up, readers
from clew.viewer.readers import Readers
from tests.support.conversation_spans import SECOND, START, turn

SESSIONS = 90


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store that was filled by a program that does not summarise."""
    monkeypatch.setattr(sessions_store, "_FEW_SPANS", 5)
    monkeypatch.setattr(readers, "_SECONDS_TO_CATCH_UP", 0.0)
    monkeypatch.setattr(catching_up, "_LONGEST_PAUSE_SECONDS", 60.0)
    path = tmp_path / "sessions.db"
    connection = connect(path, create=True)
    for number in range(SESSIONS):
        start = START + number * SECOND
        Writer(connection).add(turn(f"s{number:03}", number=number, start=start, tool=False))
    connection.close()
    return path


@pytest.fixture
def lent(path):
    made = Readers(path)
    yield made
    made.close()


def test_a_page_shows_what_is_summarised_and_the_rest_follows(lent):
    with lent.lend() as reader:
        assert 0 < lent.share < 1
        assert 0 < len(reader.sessions.list(limit=SESSIONS)) < SESSIONS
        thread = lent._catching_up._thread
        assert thread.is_alive()
    thread.join(60)
    assert lent.share == 1
    with lent.lend() as reader:
        assert len(reader.sessions.list(limit=SESSIONS)) == SESSIONS
        assert reader.rows(
            "SELECT sum(sessions) AS number FROM session_day WHERE kind = 'all'"
        ) == [{"number": SESSIONS}]
    assert lent._catching_up._thread is None


def test_few_spans_are_summarised_at_once(lent, monkeypatch):
    monkeypatch.setattr(sessions_store, "_FEW_SPANS", 1000)
    with lent.lend() as reader:
        assert lent.share == 1
        assert len(reader.sessions.list(limit=SESSIONS)) == SESSIONS


def test_a_page_does_not_wait_for_another_process_that_writes(lent, path):
    with lent.lend():
        before = lent.share
    lent._catching_up._thread.join(60)
    connection = connect(path)
    Writer(connection).add(turn("later", number=999))
    connection.execute("BEGIN IMMEDIATE")
    with lent.lend() as reader:
        assert before < lent.share < 1
        assert len(reader.sessions.list(limit=SESSIONS + 1)) == SESSIONS
    connection.execute("ROLLBACK")
    connection.close()


def test_it_ends_with_the_server(path):
    made = Readers(path)
    with made.lend():
        thread = made._catching_up._thread
        made.close()
    assert not thread.is_alive()
    assert made.share < 1


def test_pages_say_that_something_is_still_counted(path):
    from starlette.testclient import TestClient

    from clew.viewer.app import create_app

    app = create_app(path)
    with TestClient(app, base_url="http://localhost") as client:
        state = app.state.readers._catching_up
        with state.reading():  # It makes no progress by itself.
            for page in ("/", "/users", "/overview"):
                assert "Still counting what was stored" in client.get(page).text
            missing = client.get("/session?id=s089")
            assert missing.status_code == 404
            assert "not everything that was stored is counted yet" in missing.text
            thread = state._thread
        thread.join(60)
        assert client.get("/session?id=s089").status_code == 200
        assert "Still counting" not in client.get("/").text
        assert f"{SESSIONS} in all" in client.get("/").text
