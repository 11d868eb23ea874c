"""A backup is put in the place of a store that the page shows and receives spans into."""

import sqlite3
from contextlib import closing

import pytest

for _needed in ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3"):
    pytest.importorskip(_needed)

from clew.store.database import StoreError, connect
from clew.store.moved import index_of
from clew.store.otlp import to_json
from clew.viewer.readers import Readers
from tests.integration.store.conftest import start
from tests.support.conversation_spans import turn

__all__ = ["start"]


@pytest.fixture
def backup(path, filled, tmp_path):
    """A copy that SQLite made of the store."""
    copy = tmp_path / "backup.db"
    with closing(sqlite3.connect(path)) as store, closing(sqlite3.connect(copy)) as target:
        store.backup(target)
    return copy


def post(ask, session, number):
    headers = {"Content-Type": "application/json"}
    answer = ask.post("/v1/traces", content=to_json(turn(session, number=number)), headers=headers)
    assert answer.status_code == 200, answer.text


def stored(path):
    with closing(connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in connection.execute("SELECT DISTINCT session_id FROM span")}


def test_spans_are_taken_after_a_page_has_read_the_backup(path, backup, ask):
    for number in range(10, 40):
        post(ask, "lost-with-the-file", number)
    assert "lost-with-the-file" in ask.get("/").text
    backup.replace(path)
    assert "lost-with-the-file" not in ask.get("/").text
    post(ask, "after-it", 50)
    html = ask.get("/").text
    assert "after-it" in html
    assert "chat-43" in html
    assert stored(path) == {"chat-42", "chat-43", "other", "after-it"}


def test_the_page_follows_where_another_process_has_removed_the_log(path, backup, ask, start):
    """It has read the backup with the log that the other still had of the file before."""
    application = start(path)
    application.tell("spans", 300, "lost-with-the-file")
    application.tell("flush")
    assert "lost-with-the-file" in ask.get("/").text
    backup.replace(path)
    ask.get("/")
    application.tell("spans", 7, "by-the-application")
    assert application.tell("flush")["flushed"]
    html = ask.get("/").text
    assert "by-the-application" in html
    assert "lost-with-the-file" not in html
    post(ask, "by-the-page", 50)
    assert "by-the-page" in ask.get("/").text
    assert application.end() == (0, [])
    assert {"chat-42", "by-the-application", "by-the-page"} <= stored(path)


def test_spans_are_refused_while_the_log_that_was_removed_is_read(path, backup, monkeypatch):
    monkeypatch.setattr("clew.viewer.readers._PATIENCE", 0.1)
    readers = Readers(path)
    with readers.lend():
        index_of(path).unlink()
        with pytest.raises(StoreError, match="was replaced while it was open"):
            readers.follow()
    readers.follow()
    readers.close()
