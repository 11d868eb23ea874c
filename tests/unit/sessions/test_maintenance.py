"""The limits of a store hold while it is written, whenever that is."""

import random
from threading import Event

import pytest

from clew.sessions import maintenance
from clew.sessions.maintenance import FileMaintenance, Maintenance
from clew.store.database import connect, file_size
from clew.store.limits import may_be_exceeded
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn

LONG = 2.0
"""Seconds for which everything is done that is due."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spans.db"


@pytest.fixture
def connection(path):
    connection = connect(path, create=True)
    yield connection
    connection.close()


def write(connection, numbers):
    for number in numbers:
        words = random.Random(number).randbytes(20_000).hex()
        start = START + number * SECOND
        Writer(connection).add(turn(f"s{number}", "ada", words, start=start))


def sessions(connection):
    return {row[0] for row in connection.execute("SELECT DISTINCT session_id FROM span")}


def test_what_is_too_much_is_deleted_whenever_it_is(connection, monkeypatch):
    monkeypatch.setenv("CLEW_STORE_MAX_MB", "1.5")
    it = Maintenance()
    assert it.run(connection, LONG)
    for first in (0, 40, 80):
        write(connection, range(first, first + 40))
        assert file_size(connection) > 1.5e6
        assert it.run(connection, LONG)
        assert file_size(connection) <= 1.5e6 * 0.9
        assert f"s{first + 39}" in sessions(connection)


def test_each_new_span_does_not_cost_a_deletion(connection, monkeypatch):
    monkeypatch.setenv("CLEW_STORE_MAX_MB", "1.5")
    it = Maintenance()
    write(connection, range(40))
    assert it.run(connection, LONG)
    write(connection, [99])
    before = sessions(connection)
    assert it.run(connection, LONG)
    assert sessions(connection) == before


def test_what_is_left_is_told_and_done_later(connection, monkeypatch):
    monkeypatch.setenv("CLEW_STORE_MAX_MB", "0.1")
    it = Maintenance()
    write(connection, range(300))
    runs = 1
    while not it.run(connection, 0):
        runs += 1
    assert runs > 2
    assert sessions(connection) == set()


def test_what_is_too_old_is_looked_for_once_a_minute(connection, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(maintenance, "monotonic", lambda: now[0])
    monkeypatch.setenv("CLEW_STORE_MAX_DAYS", "1")
    it = Maintenance()
    for moment, left in ((0, 0), (30, 1), (59, 2), (61, 0)):
        now[0] = moment
        write(connection, [moment])
        assert it.run(connection, LONG)
        assert len(sessions(connection)) == left


class Seconds(Event):
    """Counts seconds instead of waiting for them."""

    def __init__(self, now, number):
        super().__init__()
        self.now, self.number = now, number

    def wait(self, timeout=None):
        self.now[0] += timeout
        return self.now[0] > self.number


def test_it_goes_on_until_all_is_done_and_then_once_a_minute(path, monkeypatch):
    now, runs, results = [0.0], [], [False, False, True, True]
    monkeypatch.setattr(maintenance, "monotonic", lambda: now[0])
    it = FileMaintenance(path)
    monkeypatch.setattr(it, "run", lambda: runs.append(now[0]) or results[len(runs) - 1])
    it.run_until(Seconds(now, 70), lambda: 0 if now[0] < 5 else 7)
    assert runs == [5, 6, 7, 67]


def test_a_store_that_cannot_be_opened_is_tried_again(path):
    assert FileMaintenance(path).run() is False


@pytest.mark.parametrize(
    ("limit", "value", "exceeded"),
    [
        ("CLEW_STORE_MAX_MB", "900", False),
        ("CLEW_STORE_MAX_MB", "0.1", True),
        ("CLEW_STORE_MAX_DAYS", "1", True),
        ("CLEW_STORE_MAX_DAYS", "99999", False),
    ],
)
def test_whether_there_is_something_to_delete(connection, monkeypatch, limit, value, exceeded):
    write(connection, [1])
    assert not may_be_exceeded(connection)
    monkeypatch.setenv(limit, value)
    assert may_be_exceeded(connection) is exceeded


def test_an_empty_store_has_nothing_that_is_too_old(connection, monkeypatch):
    monkeypatch.setenv("CLEW_STORE_MAX_DAYS", "1")
    assert not may_be_exceeded(connection)
