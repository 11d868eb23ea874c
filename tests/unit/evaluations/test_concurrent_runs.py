"""Runs of evaluators: several calls at a time, several runs at a time, and what cannot be run."""

import asyncio
import logging
from contextlib import closing
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from queue import SimpleQueue
from threading import Thread

import pytest

from clew import evaluations
from clew.core.errors import ConfigurationError
from clew.evaluations import EvaluationError, evaluate, evaluate_async, evaluator
from clew.evaluations.running import work
from clew.evaluations.running.claims import Claims
from clew.evaluations.running.watching import Watch
from clew.evaluations.running.work import Limits
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.store.database import StoreError, connect, transaction
from tests.support.conversation_spans import turn
from tests.unit.evaluations.asking import Asked


def said(store, **which):
    return {it.session_id: (it.score, it.label) for it in evaluations.current(store, **which)}


def test_several_calls_at_the_same_time_and_no_more(store, write):
    write(*(turn(f"s{number}") for number in range(20)))
    running, most, all_here = set(), [0], asyncio.Event()

    @evaluator
    async def busy(session):
        running.add(session.id)
        most[0] = max(most[0], len(running))
        if len(running) == 5:
            all_here.set()
        await all_here.wait()
        await asyncio.sleep(0)
        running.discard(session.id)
        return 1

    assert asyncio.run(evaluate_async(store, busy, concurrency=5)).made == 22
    assert most == [5]


def test_functions_that_block_run_at_the_same_time_too(store, write):
    """As many as are allowed, however few processors there are."""
    from threading import Barrier

    write(*(turn(f"s{number}") for number in range(38)))
    together = Barrier(40, timeout=60)
    asked = Asked(lambda _: together.wait() >= 0)
    assert evaluate(store, asked.evaluator, concurrency=40).made == 40


def test_it_can_be_called_where_an_event_loop_is_running(store):
    async def notebook():
        return evaluate(store, Asked().evaluator)

    assert asyncio.run(notebook()).made == 2

    async def wrong():
        evaluate(store, Asked(version="2").evaluator, sessions=["nobody"])

    with pytest.raises(SessionNotFoundError, match="'nobody'"):
        asyncio.run(wrong())


def test_what_is_done_is_kept_where_it_is_interrupted(store, write):
    write(*(turn(f"s{number}") for number in range(5)))
    reached, third = [], asyncio.Event()

    @evaluator
    async def stuck(session):
        reached.append(session.id)
        if len(reached) == 3:
            third.set()
            await asyncio.Event().wait()
        return 1

    async def interrupted():
        task = asyncio.create_task(evaluate_async(store, stuck, concurrency=1))
        await third.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert len(evaluations.history(store)) == 2
    assert claims(store) == []
    assert evaluate(store, stuck).made == 5


@pytest.mark.parametrize("is_asynchronous", [True, False])
def test_an_evaluator_that_is_cancelled_by_something_else_has_failed(store, is_asynchronous):
    def answer(session):
        if session.id == "a":
            raise asyncio.CancelledError
        return 1

    async def answer_later(session):
        return answer(session)

    judged = evaluator(name="judged")(answer_later if is_asynchronous else answer)
    run = evaluate(store, judged)
    assert (run.made, run.failed) == (1, 1)
    assert "evaluator 'judged' was cancelled, and not by the run" in run.failures[0].error
    assert claims(store) == []


def claims(store):
    with closing(connect(store.path)) as connection:
        return connection.execute("SELECT session_id, name FROM evaluation_claim").fetchall()


def test_progress_is_told(store):
    told = []
    run = evaluate(store, Asked().evaluator, progress=told.append)
    assert told[-1] == (2, 2, run.made, 0, 0.0)
    assert [it.done for it in told] == sorted(it.done for it in told)


def test_what_another_one_evaluates_is_waited_for(store):
    with closing(connect(store.path)) as connection:
        other = Claims(store.path)
        with transaction(connection):
            assert other.take(connection, "a", ["resolved"]) == {"resolved"}
        asked = Asked()
        waits = Thread(target=evaluate, args=(store, asked.evaluator))
        with SessionStore(store.path) as mine:
            waits.start()
            while not said(mine):
                pass
            assert asked.sessions == ["b"]
            other.close(connection)
            waits.join(60)
            assert sorted(said(mine)) == ["a", "b"]


def test_a_watch_goes_on_while_another_one_evaluates(store, monkeypatch):
    monkeypatch.setattr(work, "_PATIENCE", 0.0)
    asked = Asked()

    async def watched(connection, other):
        watch = Watch(store.path, [asked.evaluator], Limits())

        def told(run):
            if asked.sessions == ["b"]:
                other.close(connection)
            else:
                watch.stop("seen enough")

        async with asyncio.timeout(60):
            await watch.until_stopped(told)
        return watch.run

    with closing(connect(store.path)) as connection:
        other = Claims(store.path)
        with transaction(connection):
            assert other.take(connection, "a", ["resolved"]) == {"resolved"}
        run = asyncio.run(watched(connection, other))
    assert (run.made, run.stopped) == (2, "seen enough")
    assert asked.sessions == ["b", "a"]


def test_a_lease_is_renewed_and_one_that_ended_is_taken_over(store):
    with closing(connect(store.path)) as connection:
        query = "SELECT until_ns FROM evaluation_claim"
        mine, other = Claims(store.path, lease_seconds=0.2), Claims(store.path)
        with transaction(connection):
            mine.take(connection, "a", ["resolved"])
        (begun,) = connection.execute(query).fetchone()
        while connection.execute(query).fetchone()[0] == begun:
            pass
        with transaction(connection):
            assert other.take(connection, "a", ["resolved"]) == set()
        connection.execute("UPDATE evaluation_claim SET until_ns = 0, owner = 'gone'")
        with transaction(connection):
            assert other.take(connection, "a", ["resolved"]) == {"resolved"}
        mine.close(connection)
        assert claims(store) == [("a", "resolved")]
        other.close(connection)
        assert claims(store) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"concurrency": 0}, "concurrency=0 must be a whole number, at least 1"),
        ({"retries": 1.5}, "retries=1.5 must be a whole number"),
        ({"rate": 0}, "rate=0 must be a number greater than 0"),
        ({"max_cost": -1}, "max_cost=-1 must be a number greater than 0"),
        ({"max_cost": float("nan")}, "max_cost=nan must be"),
        ({"quiet": 60}, "quiet=60 must be a timedelta"),
    ],
)
def test_limits_that_make_no_sense_are_named(store, given, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(store, Asked().evaluator, **given)


def test_evaluators_and_sessions_that_are_none_are_named(store):
    it = Asked().evaluator
    with pytest.raises(EvaluationError, match="two evaluators are named 'resolved'"):
        evaluate(store, [it, Asked().evaluator])
    with pytest.raises(EvaluationError, match="is no evaluator: decorate the function"):
        evaluate(store, [print])
    with pytest.raises(EvaluationError, match="is no evaluator: decorate the function"):
        evaluate(store, print)
    with pytest.raises(EvaluationError, match="evaluators is empty"):
        evaluate(store, [])
    with pytest.raises(SessionNotFoundError, match="there is no session 'c'"):
        evaluate(store, it, sessions=["a", "c"])
    with pytest.raises(SessionNotFoundError, match="there is no session"):
        evaluate(store, it, sessions=["\ud800"])
    with pytest.raises(ConfigurationError, match="sessions=7 must be ids"):
        evaluate(store, it, sessions=[7])
    with pytest.raises(ConfigurationError, match="a filter that is not known; there are order_by"):
        evaluate(store, it, sessions={"users": "ada"})
    with pytest.raises(ConfigurationError, match="user=5 must be a text, not int"):
        evaluate(store, it, sessions={"user": 5})
    with pytest.raises(ConfigurationError, match="limit='3' must be a whole number"):
        evaluate(store, it, sessions={"limit": "3"})
    assert evaluations.history(store) == []
    assert evaluate(store, it, sessions={"since": datetime(2020, 1, 1, tzinfo=UTC)}).made == 2


def test_claims_that_cannot_be_given_back_end_by_themselves(store, caplog):
    """Another process writes for long: what was judged by then is no less valid."""
    with closing(connect(store.path)) as connection, closing(connect(store.path)) as other:
        claims = Claims(store.path, 60)
        with transaction(connection):
            assert claims.take(connection, "s1", ["resolved"]) == {"resolved"}
        connection.execute("PRAGMA busy_timeout = 0")
        with transaction(other):
            claims.close(connection)
        assert "cannot be given back now" in caplog.text
        assert connection.execute("SELECT count(*) FROM evaluation_claim").fetchone() == (1,)


@pytest.mark.slow
def test_a_store_that_is_written_for_long_is_said_to_be(store):
    with (
        closing(connect(store.path)) as other,
        transaction(other),
        pytest.raises(StoreError, match="being written by another process"),
    ):
        evaluate(store, Asked().evaluator)


def test_a_claim_that_is_not_renewed_at_once_is_no_news_yet(tmp_path):
    """On a busy store the next attempt is soon enough; a lease that is about to end is told."""
    told = SimpleQueue()
    handler = QueueHandler(told)
    logger = logging.getLogger("clew")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    claims = Claims(tmp_path / "missing.db", lease_seconds=1)
    try:
        levels = [told.get(timeout=30).levelno]
        while levels[-1] != logging.WARNING:
            levels.append(told.get(timeout=30).levelno)
    finally:
        claims.stop()
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert levels[0] == logging.DEBUG
