"""A fork waits for threads that use a store, and nothing that comes in between leaves it locked."""

import os
import signal
import sqlite3
from threading import Event, Thread

import pytest

from clew.sessions.store import SessionStore
from clew.store import fork_guard
from clew.store.database import StoreError, connect
from clew.store.fork_guard import no_fork
from clew.store.fork_safe import ForkSafeRows

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
INTERRUPTS = 40

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "sessions.db"
    connect(path, create=True).close()
    with SessionStore(path) as store:
        yield store


@pytest.fixture
def interrupted():
    """Return a function that raises KeyboardInterrupt after so many seconds of CPU time."""
    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.signal(signal.SIGVTALRM, before)


def forked():
    """Fork, and return what the child ends with; raise no error in it."""
    child = os.fork()
    if not child:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_another_thread(function):
    found = []
    thread = Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(20)
    assert found, "it still waits"
    return found[0]


def test_an_interrupt_leaves_nothing_locked(store, interrupted):
    for number in range(INTERRUPTS):
        interrupted(0.002 + number * 0.0001)
        # In what SQLite calls to ask what a query may do, an interrupt makes it refuse the query.
        with pytest.raises((KeyboardInterrupt, StoreError), match=r"^$|not authorized"):
            for _ in store.rows(NUMBERS):
                pass
    assert in_another_thread(lambda: list(store.sql("SELECT 1 AS one"))) == [{"one": 1}]
    assert in_another_thread(forked) == 7


def test_who_forks_while_using_a_store_goes_on_using_it(store):
    rows = store.rows(f"{NUMBERS} LIMIT 1000")
    read = [next(rows)["i"] for _ in range(150)]
    with no_fork():
        assert forked() == 7
    assert forked() == 7
    assert [*read, *(row["i"] for row in rows)] == list(range(1, 1001))
    assert in_another_thread(lambda: list(store.sql("SELECT 1 AS one"))) == [{"one": 1}]


def test_a_hook_of_a_fork_may_fork_itself(store):
    nested = []

    def fork_once():
        if not nested:
            nested.append(None)
            nested.append(forked())

    os.register_at_fork(before=fork_once)
    assert forked() == 7
    assert nested == [None, 7]
    assert in_another_thread(lambda: list(store.sql("SELECT 1 AS one"))) == [{"one": 1}]
    assert in_another_thread(forked) == 7


def test_where_a_fork_did_not_wait_a_child_is_told_that_the_rows_are_its_parents(store):
    with no_fork():
        connection = connect(store.path)
        rows = ForkSafeRows(connection, connection.execute(f"{NUMBERS} LIMIT 1000"))
    assert next(rows) == (1,)
    rows.after_fork()
    with pytest.raises(sqlite3.ProgrammingError, match="read by the process that forked"):
        list(rows)
    connection.close()


def test_who_comes_while_a_fork_is_being_made_waits_for_it():
    entered = Event()

    def use():
        with no_fork():
            entered.set()

    thread = Thread(target=use)
    fork_guard._before_fork()
    thread.start()
    came_in = entered.wait(0.2)
    fork_guard._after_fork_in_parent()
    assert not came_in
    assert entered.wait(20)
    thread.join(20)


def test_a_fork_whose_wait_is_interrupted_keeps_nobody_out(monkeypatch):
    inside, leave = Event(), Event()

    def use():
        with no_fork():
            inside.set()
            leave.wait(20)

    def interrupt(_):
        raise KeyboardInterrupt

    thread = Thread(target=use)
    thread.start()
    inside.wait(20)
    with monkeypatch.context() as patched:
        patched.setattr(fork_guard, "sleep", interrupt)
        # As Python calls it, which prints what is raised, and forks.
        with pytest.raises(KeyboardInterrupt):
            fork_guard._before_fork()
        fork_guard._after_fork_in_parent()
    leave.set()
    thread.join(20)
    assert not fork_guard._users._forking
    assert not fork_guard._users._inside
