"""A file is put in the place of a store that is written, and is read before it is written."""

import sqlite3
from contextlib import closing

import pytest

from clew.sessions.store import SessionStore
from clew.store.database import StoreError
from clew.store.file_writer import FileWriter
from tests.support.conversation_spans import turn


def test_it_is_said_that_the_file_was_replaced_and_not_that_the_disk_is_broken(tmp_path):
    path, backup = tmp_path / "sessions.db", tmp_path / "backup.db"
    writer = FileWriter(path)
    writer.add(turn("kept", number=1))
    with closing(sqlite3.connect(path)) as store, closing(sqlite3.connect(backup)) as copy:
        store.backup(copy)
    for number in range(2, 40):
        writer.add(turn("later", number=number))
    backup.replace(path)
    with SessionStore(path) as reader:
        reader.list()
        for number in (60, 61):  # The second time it is opened anew.
            with pytest.raises(StoreError, match="was replaced while it was open") as caught:
                writer.add(turn("after", number=number))
            assert "disk" not in str(caught.value)
    assert writer.add(turn("after", number=62)) > 0
    writer.close()
    with SessionStore(path) as reader:
        assert reader.get("after").turns
