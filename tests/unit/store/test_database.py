"""The store's file: who may read it, what is refused, and what the errors say."""

import os
import shutil
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from clew.store import database
from clew.store.database import (
    EmptyStoreError,
    StoreError,
    StoreMissingError,
    connect,
    explained,
    transaction,
)
from clew.store.record import SpanRecord
from clew.store.writer import Writer

SPAN = SpanRecord(b"t" * 16, b"s" * 8, None, "a span", 1, 2, {})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_only_the_owner_can_read_it(tmp_path):
    path = tmp_path / "app" / ".clew" / "sessions.db"
    before = os.umask(0)
    try:
        connection = connect(path, create=True)
        Writer(connection).add([SPAN])
        assert mode(path.parent) == 0o700
        files = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
        connection.close()
    gitignore = files.pop(".gitignore")
    assert gitignore & 0o400
    assert files == dict.fromkeys(("sessions.db", "sessions.db-wal", "sessions.db-shm"), 0o600)
    assert (path.parent / ".gitignore").read_text().splitlines()[-1] == "*"


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    connect(tmp_path / "sessions.db", create=True).close()
    assert mode(tmp_path) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["sessions.db"]


def test_a_store_of_a_newer_release_is_refused(tmp_path, store):
    store.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer release .* number 99, .* pip install --upgrade"):
        connect(tmp_path / "store" / "spans.db")


def test_the_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (name)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="a database of another program"):
        connect(path, create=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_file_is_named_and_left_alone(tmp_path, content):
    path = tmp_path / "sessions.db"
    path.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"sessions\.db is damaged, or is no store .* move it away"
    ):
        connect(path, create=True)
    assert path.read_bytes() == content


def test_where_there_is_none(tmp_path):
    with pytest.raises(StoreMissingError, match=r"there is no store at .*; it is made when"):
        connect(tmp_path / "sessions.db")
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made():
    with pytest.raises(StoreError, match=r"the store /proc/clew/sessions\.db cannot be made: No"):
        connect(Path("/proc/clew/sessions.db"), create=True)


def test_a_folder_is_said_to_be_one(tmp_path):
    for create in (True, False):
        with pytest.raises(StoreError, match="is a folder; name a file"):
            connect(tmp_path, create=create)


def test_what_was_never_written_is_empty_and_not_older(tmp_path):
    path = tmp_path / "sessions.db"
    path.touch()
    with pytest.raises(EmptyStoreError, match=r"sessions\.db is empty"):
        connect(path, read_only=True)
    connect(path).close()
    connect(path, read_only=True).close()


@pytest.mark.parametrize("reason", ["disk I/O error", "unable to open database file"])
def test_why_the_disk_refuses_is_looked_for(tmp_path, monkeypatch, reason):
    path, error = tmp_path / "sessions.db", sqlite3.OperationalError(reason)
    assert "repair the disk" in str(explained(path, error))
    with monkeypatch.context() as patch:
        patch.setattr(database.os, "access", lambda *_: False)
        assert "the folder of" in str(explained(path, error))
        assert "make it writable" in str(explained(path, error))
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(database.shutil, "disk_usage", lambda _: full)
    assert "there is no space" in str(explained(path, error))


def test_a_store_in_use_is_said_to_be(tmp_path, store):
    with transaction(store), pytest.raises(sqlite3.OperationalError, match="locked"):
        Writer(connect(tmp_path / "store" / "spans.db", timeout=0.01)).add([SPAN])


def test_it_is_read_while_it_is_written(tmp_path, store):
    Writer(store).add([SPAN])
    reader = connect(tmp_path / "store" / "spans.db", read_only=True)
    with transaction(store):
        store.execute("DELETE FROM span")
        assert reader.execute("SELECT count(*) FROM span").fetchone() == (1,)
    assert reader.execute("SELECT count(*) FROM span").fetchone() == (0,)
    reader.close()


def test_what_fails_is_undone(store):
    writer = Writer(store)
    broken = SpanRecord(b"u" * 16, b"s" * 8, None, "broken", 1, 2, {"a": object()})
    with pytest.raises(TypeError):
        writer.add([SPAN, broken])
    assert store.execute("SELECT count(*) FROM span").fetchone() == (0,)
    assert writer.add([SPAN]) == 1


def test_a_store_of_an_older_release_is_brought_forward(tmp_path, store, monkeypatch):
    Writer(store).add([SPAN])
    known = database._migrations()
    later = "CREATE TABLE added (id INTEGER);\n-- and\nINSERT INTO added VALUES (7);"
    monkeypatch.setattr(database, "_migrations", lambda: [*known, later])
    with pytest.raises(StoreError, match="written by an older release"):
        connect(tmp_path / "store" / "spans.db", read_only=True)
    for _ in range(2):  # The second time nothing is left to do.
        newer = connect(tmp_path / "store" / "spans.db")
        assert newer.execute("SELECT id FROM added").fetchall() == [(7,)]
        assert newer.execute("SELECT name FROM span").fetchall() == [("a span",)]
        newer.close()
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer release"):
        connect(tmp_path / "store" / "spans.db")


def test_a_migration_that_fails_changes_nothing(tmp_path, store, monkeypatch):
    known = database._migrations()
    broken = "CREATE TABLE added (id INTEGER);\nINSERT INTO absent VALUES (7);"
    monkeypatch.setattr(database, "_migrations", lambda: [*known, broken])
    with pytest.raises(StoreError, match="no such table"):
        connect(tmp_path / "store" / "spans.db")
    monkeypatch.undo()
    again = connect(tmp_path / "store" / "spans.db")
    assert again.execute("SELECT count(*) FROM sqlite_master WHERE name = 'added'").fetchone() == (
        0,
    )
    again.close()


def test_the_log_does_not_stay_as_large_as_it_was_once(tmp_path, store):
    with transaction(store):
        store.execute("CREATE TABLE much (content BLOB)")
        store.execute("INSERT INTO much VALUES (zeroblob(9000000))")
    (log,) = tmp_path.rglob("*-wal")
    assert log.stat().st_size > 9e6
    store.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    store.execute("INSERT INTO much VALUES (1)")
    assert log.stat().st_size < 5e6
