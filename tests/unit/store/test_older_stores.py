"""A store that an older release has made: it is brought forward, or read as it is."""

import sqlite3
from contextlib import closing

import pytest

from clew.sessions.store import SessionStore
from clew.store import database
from clew.store.database import OlderStoreError, connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


@pytest.fixture
def older(tmp_path, monkeypatch):
    """The path of a store of the first form, with one session."""
    path = tmp_path / "kept" / "sessions.db"
    first = database._migrations()[:1]
    with monkeypatch.context() as patch:
        patch.setattr(database, "_migrations", lambda: first)
        with closing(connect(path, create=True)) as connection:
            Writer(connection).add(turn())
    return path


def form(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_it_is_brought_forward_when_it_is_used(older):
    assert form(older) == 1
    with SessionStore(older) as store:
        assert [it.id for it in store.list()] == ["chat-42"]
        assert list(store.sql("SELECT * FROM evaluations")) == []
    assert form(older) == len(database._migrations())


def test_where_it_may_not_be_written_it_is_named_and_left_as_it_is(older):
    before = older.read_bytes()
    with pytest.raises(OlderStoreError, match="copy it to where it may be written"):
        connect(older, read_only=True)
    assert older.read_bytes() == before
    assert form(older) == 1
    copy = older.with_name("copy.db")
    copy.write_bytes(before)
    with SessionStore(copy) as store:
        assert [it.id for it in store.list()] == ["chat-42"]
