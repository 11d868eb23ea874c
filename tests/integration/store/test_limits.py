"""CLEW_STORE_MAX_MB and CLEW_STORE_MAX_DAYS, with several processes that write to one store."""

import sqlite3
import time
from contextlib import closing

import pytest

from clew import sessions
from clew.store.database import connect, file_size

PATIENCE = 60
"""How many seconds a process may need until the store is as small as it may be."""


def spans_by_session(path):
    connection = connect(path)
    query = "SELECT session_id, count(*) FROM span GROUP BY session_id ORDER BY min(id)"
    found = dict(connection.execute(query))
    connection.close()
    return found


def one_value(path, query):
    with closing(connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def is_compacted(path, last):
    """Whether all spans up to the *last* one are compressed: they do not get smaller any more."""
    return one_value(path, "SELECT value FROM progress WHERE name = 'compacted'") >= last


def until(application, is_done):
    """Let *application* write batch after batch until something is the case."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        application.tell("spans", 1, "later")
        assert application.tell("flush")["flushed"]
        if is_done():
            return
        time.sleep(0.05)  # What is written meanwhile must not be more than what is deleted.
    raise AssertionError


def test_the_store_stays_as_small_as_it_is_to_be(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    writers = [start(path, WORDS="200") for _ in range(3)]
    for session in range(6):
        for number, writer in enumerate(writers):
            writer.tell("spans", 100, f"p{number}-{session}")
        for writer in writers:
            assert writer.tell("flush")["flushed"]
    assert len(spans_by_session(path)) == 18
    last = one_value(path, "SELECT max(id) FROM span")
    until(writers[0], lambda: is_compacted(path, last))
    with closing(connect(path)) as connection:
        most = file_size(connection) * 0.6
    limit = {"CLEW_STORE_MAX_MB": str(most / 1e6), "WORDS": "200"}
    late = [start(path, **limit) for _ in range(2)]
    late[1].tell("spans", 1, "other")
    until(late[0], lambda: path.stat().st_size < most)
    for application in [*writers, *late]:
        assert application.tell("stats")["errors"] == {}
        assert application.end() == (0, [])
    kept = spans_by_session(path)
    conversations = {name: n for name, n in kept.items() if name.startswith("p")}
    assert 3 < len(conversations) < 15
    assert set(conversations.values()) == {100}
    newest = min(int(name[-1]) for name in conversations)
    # Those of the same round ended at about the same time, so that some of them are left.
    assert {name for name in conversations if int(name[-1]) > newest} == {
        f"p{number}-{session}" for session in range(newest + 1, 6) for number in range(3)
    }
    with sessions.open(path) as store:
        assert {it.id: it.spans for it in store.list()} == kept
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    raw.close()


def test_old_sessions_are_deleted(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    first = start(path)
    first.tell("spans", 20, "old")
    assert first.end() == (0, [])
    second = start(path, CLEW_STORE_MAX_DAYS="0.000001")
    until(second, lambda: "old" not in spans_by_session(path))
    assert second.end() == (0, [])


@pytest.mark.parametrize(
    "limit", [{"CLEW_STORE_MAX_MB": "1"}, {"CLEW_STORE_MAX_DAYS": "0.0000001"}]
)
def test_processes_that_end_at_once_clean_too(tmp_path, start, limit):
    """They have exported nothing before they end, so nothing was maintained."""
    path = tmp_path / ".clew" / "sessions.db"
    for number in range(4):
        application = start(path, **limit, WORDS="2000", CLEW_EXIT_TIMEOUT="30")
        application.tell("spans", 60, f"s{number}")  # Fewer than are exported at once.
        assert application.end() == (0, [])
    kept = spans_by_session(path)
    assert len(kept) < 4
    assert "s0" not in kept
    assert path.stat().st_size < 1e6


def test_within_the_limits_the_end_of_a_process_takes_no_time(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    application = start(path, CLEW_STORE_MAX_DAYS="1")
    application.tell("spans", 1, "s")
    assert application.end() == (0, [])
    with closing(connect(path)) as connection:  # Nothing was summarised.
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (0,)
