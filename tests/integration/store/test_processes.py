"""Many processes write to one store: every span arrives once, under the ids of its process."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from clew import sessions
from clew.store.database import StoreMissingError, connect
from tests.integration.store.conftest import PROGRAMS

FORKING = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
WAYS = ["plain", "spawn", *(["fork", "os_fork"] if hasattr(os, "fork") else [])]


def run(tmp_path, ways, spans):
    """Run a process for each of *ways* at the same time; return what each process has told."""
    environment = {
        **os.environ,
        "CLEW_STORE": str(tmp_path / "store" / "sessions.db"),
        "TELL": str(tmp_path / "told"),
        "CLEW_EXIT_TIMEOUT": "30",  # A busy machine is no reason to lose spans here.
    }
    command = [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAMS / "crowd.py"]
    running = [
        subprocess.Popen(
            [*command, f"p{number}", str(spans), way],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, way in enumerate(ways)
    ]
    ended = [(process.communicate(timeout=110)[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * len(ways), ended
    # A spawned child sets itself up, and says so as its parent does.
    lines = [line for err, _ in ended for line in err.splitlines()]
    assert [line for line in lines if "look at the conversations" not in line] == []
    return [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]


def check(path, made):
    """See that the store has what was made, and nothing else."""
    connection = connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = connection.execute("SELECT session_id, user_id, name FROM span").fetchall()
    connection.close()
    assert len({name for *_, name in rows}) == len(rows)
    found = {}
    for session, user, name in rows:
        assert name.startswith(f"{session}:")
        assert user == f"user of {session.rpartition('-')[0]}"
        found[session] = found.get(session, 0) + 1
    assert found == made


@pytest.mark.slow
def test_eight_processes_write_while_one_reads(tmp_path):
    path = tmp_path / "store" / "sessions.db"
    seen, ended = [], threading.Event()

    def read():
        while not ended.wait(0.05):
            try:
                with sessions.open(path) as store:
                    connection = store._connection
                    store.list(limit=1000)
                    seen.append(connection.execute("SELECT count(*) FROM span").fetchone()[0])
            except StoreMissingError:
                pass  # No process has written yet.

    reader = threading.Thread(target=read)
    reader.start()
    try:
        told = run(tmp_path, ["plain"] * 8, 400)
    finally:
        ended.set()
        reader.join()
    assert [(it["exported"], it["waiting"], it["dropped"]) for it in told] == [(400, 0, {})] * 8
    assert [it["errors"] for it in told] == [{}] * 8
    check(path, {session: n for it in told for session, n in it["sessions"].items()})
    assert seen == sorted(seen)
    with sessions.open(path) as store:
        # A span in which nothing is said and nothing called is in a session, and no turn.
        assert store.sql("SELECT count(DISTINCT session_id) AS n FROM spans")[0]["n"] == 160


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS[1:])
def test_children_write_their_own_spans(tmp_path, way):
    told = run(tmp_path, [way, way], 60)
    made = {session: n for it in told for session, n in it["sessions"].items()}
    check(tmp_path / "store" / "sessions.db", made)
    assert {it["waiting"] for it in told} == {0}
    assert [it["dropped"] for it in told] == [{}] * len(told)
    if way == "os_fork":  # Children of multiprocessing end without atexit, and tell nothing.
        assert [it["exported"] for it in told] == [it["made"] for it in told]
        assert len(told) == 2 * 4


@FORKING
def test_a_fork_while_a_thread_exports_leaves_a_child_that_can_export(tmp_path):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAMS / "forked.py"]
    done = subprocess.run(
        [*command, tmp_path / "store" / "sessions.db", "40"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    stuck, failed = map(int, done.stdout.split())
    assert (stuck, failed) == (0, 0), done.stderr


@FORKING
def test_a_store_that_is_open_is_used_by_parent_and_child_after_a_fork(tmp_path):
    """Neither loses a span to the other, and the file stays whole."""
    path = tmp_path / "store" / "sessions.db"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAMS / "forked_reader.py"]
    done = subprocess.run(
        [*command, path, "6"], capture_output=True, text=True, check=True, timeout=100
    )
    told = json.loads(done.stdout)
    faults = [told[name] for name in ("stuck", "failed", "wrong", "lost")]
    assert faults == [0, 0, [], []], done.stderr
    assert done.stderr == ""
    counted = {session: n for session, n in told["counted"].items() if "child" in session}
    assert counted == {f"of child {number}": 4 for number in range(6)}
    assert told["counted"]["of the parent"] == 6
    connection = connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_an_application_that_is_asked_to_end_keeps_all(tmp_path, start):
    path = tmp_path / "store" / "sessions.db"
    application = start(path, CLEW_EXIT_TIMEOUT="30")
    application.tell("spans", 1500, "s1")
    application.process.send_signal(signal.SIGTERM)
    assert application.end() == (0, [])
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM span").fetchone() == (1500,)
    connection.close()


def test_nothing_of_the_store_is_imported_before_a_span_has_ended(tmp_path, start):
    path = tmp_path / "store" / "sessions.db"
    application = start(path)
    assert application.tell("modules") == {"modules": []}
    assert not path.exists()
    application.tell("spans", 1, "s1")
    assert application.tell("flush") == {"flushed": True}
    assert application.tell("modules", "clew.store.writer")["modules"] == [
        "clew.sessions",
        "clew.store.writer",
        "sqlite3",
    ]
    assert application.end() == (0, [])


def test_a_process_that_is_stopped_with_the_store_open_holds_up_nobody(tmp_path, start):
    path = tmp_path / "store" / "sessions.db"
    first, second = start(path), start(path)
    for application in (first, second):
        application.tell("spans", 5, f"s{application.process.pid}")
        assert application.tell("flush")["flushed"]
    first.process.send_signal(signal.SIGSTOP)
    try:
        second.tell("spans", 5, "more")
        assert second.tell("flush")["flushed"]
        with sessions.open(path) as store:
            assert len(store.list()) == 3
    finally:
        first.process.send_signal(signal.SIGCONT)
    assert first.end() == second.end() == (0, [])


def test_a_reader_that_keeps_a_transaction_open_holds_up_nobody(tmp_path, start):
    path = tmp_path / "store" / "sessions.db"
    application = start(path)
    application.tell("spans", 5, "s1")
    assert application.tell("flush")["flushed"]
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM span").fetchone() == (5,)
    application.tell("spans", 5, "s1")
    assert application.tell("flush")["flushed"]
    assert reader.execute("SELECT count(*) FROM span").fetchone() == (5,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM span").fetchone() == (10,)
    reader.close()
    assert application.end() == (0, [])
