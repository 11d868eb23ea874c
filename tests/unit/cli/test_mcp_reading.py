"""What `clew mcp` reads, where a copy of the store cannot be made."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from clew.cli._mcp import reading
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


def test_after_a_copy_that_failed_the_next_question_makes_another(tmp_path, monkeypatch):
    path = tmp_path / "sessions.db"
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn())
    full = [sqlite3.OperationalError("database or disk is full")]

    def opened(place, **options):
        if not options and full:
            raise full.pop()
        return sqlite3.connect(place, **options)

    monkeypatch.setattr(reading, "sqlite3", SimpleNamespace(connect=opened))
    asked = reading.Reading(path)
    with pytest.raises(sqlite3.OperationalError), asked.store():
        pass
    with asked.store() as store:
        assert [it.id for it in store.list()] == ["chat-42"]
    asked.close()
