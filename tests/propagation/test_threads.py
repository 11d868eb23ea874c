"""Threads, event loops and queues: each job in the session that it was given from."""

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread, Timer

import pytest

from clew import current, using_session
from clew.propagation.carrying import carry
from tests.propagation.ledger import STAGES, Count, given, make_spans

# Each row gives a function that takes a job, inside a block, and returns what waits for it.


@contextmanager
def thread():
    def give(job):
        worker = Thread(target=job)
        worker.start()
        return worker.join

    yield give


@contextmanager
def timer():
    def give(job):
        worker = Timer(0, job)
        worker.start()
        return worker.join

    yield give


@contextmanager
def thread_pool_submit():
    with ThreadPoolExecutor(1) as pool:
        yield lambda job: pool.submit(job).result


@contextmanager
def thread_pool_map():
    with ThreadPoolExecutor(1) as pool:

        def give(job):
            results = pool.map(lambda _: job(), range(1))
            return partial(list, results)

        yield give


@contextmanager
def thread_pool_without_instrumentation():
    with ThreadPoolExecutor(1) as pool:
        submit = ThreadPoolExecutor.submit
        submit = getattr(submit, "__wrapped__", submit)
        yield lambda job: submit(pool, carry(job)).result


@contextmanager
def future_callback():
    def give(job):
        future = Future()
        future.add_done_callback(carry(lambda _: job()))

        def wait():
            worker = Thread(target=future.set_result, args=(None,))
            worker.start()
            worker.join()

        return wait

    yield give


@contextmanager
def queue_worker_of_long_ago():
    jobs = queue.Queue()

    def work():
        before = current()
        while (job := jobs.get()) is not None:
            job()
            jobs.task_done()
            assert current() == before

    worker = Thread(target=work)
    worker.start()

    def give(job):
        jobs.put(carry(job))
        return jobs.join

    yield give
    jobs.put(None)
    worker.join()


@pytest.mark.parametrize(
    "row",
    [
        thread,
        timer,
        thread_pool_submit,
        thread_pool_map,
        thread_pool_without_instrumentation,
        future_callback,
        queue_worker_of_long_ago,
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "after all blocks"])
def test_threads(threads, telemetry, row, late):
    waits = []
    with row() as give:
        for who in STAGES:
            wait = given(telemetry.tracer, who, give)
            waits.append(wait) if late else wait()
        for wait in waits:
            wait()
    assert telemetry.count() == Count(spans=2 * len(STAGES))


def test_a_worker_started_inside_a_block_serves_others_through_carry(threads, telemetry):
    with using_session("chat-0", user_id="zoe"), queue_worker_of_long_ago() as give:
        for who in STAGES[:2]:
            given(telemetry.tracer, who, give)()
    assert telemetry.count() == Count(spans=4)


def test_jobs_of_two_sessions_at_once_do_not_mix(threads, telemetry):
    began, go = Event(), Event()

    def first():
        began.set()
        assert go.wait(10)
        make_spans(telemetry.tracer, ("chat-1", "ada"), "caller")

    with ThreadPoolExecutor(2) as pool:
        wait = given(telemetry.tracer, ("chat-1", "ada"), lambda _: pool.submit(first).result)
        assert began.wait(10)
        given(telemetry.tracer, ("chat-2", "bob"), lambda job: pool.submit(job).result)()
        go.set()
        wait()
    assert telemetry.count() == Count(spans=4)
