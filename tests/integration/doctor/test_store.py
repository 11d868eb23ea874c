"""Checks of the store: what is in it, and what keeps spans out of it."""

import sqlite3
from contextlib import closing

import pytest

from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import turn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def diagnose(doctor, path):
    """Run the doctor with a store, and return its findings."""
    return lambda **environment: doctor(CLEW_STORE=str(path), **environment)


@pytest.fixture
def filled(path):
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(turn())


def test_without_an_exporter_the_store_is_used(diagnose, path, doctor):
    diagnosis = diagnose()
    assert diagnosis.says("exporter", "spans are kept in the store")
    assert diagnosis.severity("store") == "ok"
    assert diagnosis.says("store", f"{path} is not there yet")
    assert not path.parent.exists()
    assert doctor(CLEW_STORE="off").says("exporter", "standard error (CLEW_STORE=off)")
    assert diagnose(OTEL_TRACES_EXPORTER="console").found("store") == []


def test_what_is_in_it(diagnose, path, filled):
    before = path.read_bytes()
    diagnosis = diagnose()
    assert diagnosis.says("store", f"{path}: 0 sessions, 3 spans, 0.", about="")
    assert diagnosis.severity("store", "summaries") == "note"
    assert diagnosis.found("store-permissions") == []
    assert path.read_bytes() == before
    from clew import sessions

    with sessions.open(path) as store:
        assert len(store.list()) == 1
    assert diagnose(OTEL_TRACES_EXPORTER="console").says("store", "1 session, 3 spans")


def test_one_that_nothing_could_be_written_to_is_not_an_older_one(diagnose, path):
    path.parent.mkdir()
    path.touch()
    diagnosis = diagnose()
    assert diagnosis.severity("store") == "note"
    assert diagnosis.says("store", f"{path} is empty")


def test_others_may_not_read_it(diagnose, path, filled):
    path.chmod(0o644)
    diagnosis = diagnose()
    assert diagnosis.severity("store-permissions") == "warning"
    assert diagnosis.says("store-permissions", f"chmod 600 {path}")


def test_its_form(diagnose, path, filled):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    diagnosis = diagnose()
    assert (diagnosis.status, diagnosis.severity("store")) == (1, "error")
    assert diagnosis.says("store", "newer release of clew")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    assert diagnose().severity("store") == "note"


def test_a_place_where_it_cannot_be_made(diagnose, path, tmp_path):
    path.parent.write_text("a file")
    assert diagnose().says("store", f"{path.parent} is no folder")
    path.parent.unlink()
    path.mkdir(parents=True)
    assert diagnose().says("store", "is a folder, not a file")
    path.rmdir()
    path.write_bytes(b"This is no database. " * 99)
    assert diagnose().says("store", "is damaged, or is no store")
