"""A store that others are using for long: what was paid for is kept, and a watch goes on."""

import asyncio
import sqlite3
from threading import Event

import pytest

from clew.evaluations import evaluate, evaluator
from clew.evaluations.running import work
from clew.evaluations.running.run_store import RunStore
from clew.evaluations.running.watching import Watch
from clew.evaluations.running.work import Limits
from clew.store.database import StoreError, is_busy
from tests.unit.evaluations.asking import Asked
from tests.unit.evaluations.test_runs import said


def busy():
    return sqlite3.OperationalError("database is locked")


@pytest.fixture
def fail(monkeypatch):
    """Let a method of the store raise errors before it does what it does."""

    def fail(method, *errors):
        left, function = list(errors), getattr(RunStore, method)

        def failing(*given):
            if left:
                raise left.pop(0)
            return function(*given)

        monkeypatch.setattr(RunStore, method, failing)

    return fail


@pytest.mark.parametrize("method", ["record", "claim", "read", "targets"])
def test_it_is_tried_again(store, fail, caplog, method):
    fail(method, busy(), busy())
    asked = Asked()
    assert evaluate(store, asked.evaluator).made == 2
    assert sorted(asked.sessions) == ["a", "b"]
    (told,) = caplog.messages
    assert told == "clew: verdicts are kept when the store can be used: database is locked"


def test_so_is_what_failed(store, fail, caplog):
    fail("record_error", busy())

    @evaluator
    def wrong(session):
        raise ValueError

    assert evaluate(store, wrong).failed == 2


@pytest.mark.parametrize("method", ["record", "read", "targets"])
def test_what_has_begun_is_kept_if_the_store_fails(store, monkeypatch, caplog, method):
    begun, failed = Event(), Event()
    function = getattr(RunStore, method)

    def failing(self, unit, *given):
        if unit.session_id == "b":
            if not begun.is_set():
                raise busy()
            failed.set()
            message = "database or disk is full"
            raise sqlite3.OperationalError(message)
        return function(self, unit, *given)

    async def answer(session):
        if session.id == "a":
            begun.set()
            assert await asyncio.to_thread(failed.wait, 60)
        return True

    monkeypatch.setattr(RunStore, method, failing)
    judged = evaluator(name="judged")(answer)
    with pytest.raises(StoreError, match="there is no space"):
        evaluate(store, judged)
    assert said(store) == {"a": (1.0, "yes")}


def test_its_patience_ends(store, fail, monkeypatch, caplog):
    monkeypatch.setattr(work, "_BUSY_PATIENCE", 0.0)
    fail("record", *(busy() for _ in range(9)))
    with pytest.raises(StoreError, match="is being written by another process"):
        evaluate(store, Asked().evaluator)


@pytest.mark.parametrize("method", ["find", "record"])
def test_a_watch_goes_on(store, fail, monkeypatch, caplog, method):
    monkeypatch.setattr(work, "_BUSY_PATIENCE", 0.0)
    fail(method, busy(), busy())
    made = []

    async def watched():
        watch = Watch(store.path, [Asked().evaluator], Limits())

        def told(run):
            made.append(run.made)
            if sum(made) >= 1:
                watch.stop("enough")

        await asyncio.wait_for(watch.until_stopped(told), 60)

    asyncio.run(watched())
    assert said(store) == {"a": (1.0, "yes"), "b": (1.0, "yes")}
    told = "clew: the store cannot be used now, and is tried again: database is locked"
    assert caplog.messages.count(told) == 1


def test_a_watch_ends_if_the_store_fails_for_another_reason(store, fail):
    fail("find", sqlite3.OperationalError("disk I/O error"))
    watch = Watch(store.path, [Asked().evaluator], Limits())
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        asyncio.run(watch.until_stopped(lambda _: None))


def test_what_says_that_it_passes():
    assert is_busy(busy())
    wrapped = StoreError("busy")
    assert not is_busy(wrapped)
    wrapped.__cause__ = busy()
    assert is_busy(wrapped)
    assert not is_busy(sqlite3.OperationalError("no such table"))
    assert not is_busy(ValueError("database is locked"))
