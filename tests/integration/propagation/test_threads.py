"""Threads, timers, thread pools and queues: each job runs in the session it was submitted in."""

import gc
import queue
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import ApplyResult, Pool, ThreadPool
from threading import Event, Thread, Timer
from weakref import ref

import pytest
from opentelemetry import context as otel

from clew import current, using_session
from clew.context.carry import carry
from clew.patching.undo import UndoStack
from clew.propagation.threads import instrument_threads, threads_are_instrumented
from tests.integration.propagation.span_counts import CALLERS, Count, make_spans, submit_as

# Each row yields a function that submits a job and returns a function that waits for its end.


@contextmanager
def thread():
    def submit_job(job):
        worker = Thread(target=job)
        worker.start()
        return worker.join

    yield submit_job


@contextmanager
def timer():
    def submit_job(job):
        worker = Timer(0, job)
        worker.start()
        return worker.join

    yield submit_job


@contextmanager
def thread_pool_submit():
    with ThreadPoolExecutor(1) as pool:
        yield lambda job: pool.submit(job).result


@contextmanager
def thread_pool_map():
    with ThreadPoolExecutor(1) as pool:

        def submit_job(job):
            results = pool.map(lambda _: job(), range(1))
            return partial(list, results)

        yield submit_job


@contextmanager
def pool_of_multiprocessing(submit):
    """Make a pool whose threads are started in a session that no job belongs to."""
    with using_session("chat-0", user_id="zoe"):
        pool = ThreadPool(1)
    with pool:
        yield lambda job: partial(_wait, submit(pool, job))


def _wait(result):
    """Wait for the end of what a pool of multiprocessing's was given."""
    if isinstance(result, ApplyResult):
        result.get(10)
    else:
        list(result or ())


def _of_one(job):
    return lambda _: job()


_SUBMISSIONS = {
    "apply": lambda pool, job: pool.apply(job),
    "apply_async": lambda pool, job: pool.apply_async(func=job),
    "map": lambda pool, job: pool.map(_of_one(job), [1]),
    "map_async": lambda pool, job: pool.map_async(_of_one(job), [1]),
    "starmap": lambda pool, job: pool.starmap(_of_one(job), [(1,)]),
    "starmap_async": lambda pool, job: pool.starmap_async(_of_one(job), [(1,)]),
    "imap": lambda pool, job: pool.imap(_of_one(job), [1]),
    "imap_unordered": lambda pool, job: pool.imap_unordered(_of_one(job), [1], chunksize=2),
    "iterable": lambda pool, job: pool.imap(str, (job() for _ in range(1))),
    "iterable by name": lambda pool, job: pool.imap_unordered(
        func=str, iterable=(job() for _ in range(1))
    ),
}


@contextmanager
def thread_pool_without_instrumentation():
    with ThreadPoolExecutor(1) as pool:
        submit = ThreadPoolExecutor.submit
        submit = getattr(submit, "__wrapped__", submit)
        yield lambda job: submit(pool, carry(job)).result


@contextmanager
def future_callback():
    def submit_job(job):
        future = Future()
        future.add_done_callback(carry(lambda _: job()))

        def wait():
            worker = Thread(target=future.set_result, args=(None,))
            worker.start()
            worker.join()

        return wait

    yield submit_job


@contextmanager
def queue_worker_started_before():
    jobs = queue.Queue()

    def work():
        before = current()
        while (job := jobs.get()) is not None:
            job()
            jobs.task_done()
            assert current() == before

    worker = Thread(target=work)
    worker.start()

    def submit_job(job):
        jobs.put(carry(job))
        return jobs.join

    yield submit_job
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
        queue_worker_started_before,
        *(
            pytest.param(partial(pool_of_multiprocessing, submit), id=f"ThreadPool {name}")
            for name, submit in _SUBMISSIONS.items()
        ),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "after all blocks"])
def test_jobs_have_the_ids_of_their_submitter(threads, telemetry, row, late):
    waits = []
    with row() as submit_job:
        for who in CALLERS:
            wait = submit_as(telemetry.tracer, who, submit_job)
            waits.append(wait) if late else wait()
        for wait in waits:
            wait()
    assert telemetry.count() == Count(spans=2 * len(CALLERS))


def test_a_worker_started_inside_a_block_runs_carried_jobs_in_their_own_session(threads, telemetry):
    with using_session("chat-0", user_id="zoe"), queue_worker_started_before() as submit_job:
        for who in CALLERS[:2]:
            submit_as(telemetry.tracer, who, submit_job)()
    assert telemetry.count() == Count(spans=4)


def test_jobs_of_two_sessions_at_once_do_not_mix(threads, telemetry):
    began, go = Event(), Event()

    def first():
        began.set()
        assert go.wait(10)
        make_spans(telemetry.tracer, ("chat-1", "ada"), "caller")

    with ThreadPoolExecutor(2) as pool:
        wait = submit_as(telemetry.tracer, ("chat-1", "ada"), lambda _: pool.submit(first).result)
        assert began.wait(10)
        submit_as(telemetry.tracer, ("chat-2", "bob"), lambda job: pool.submit(job).result)()
        go.set()
        wait()
    assert telemetry.count() == Count(spans=4)


@pytest.mark.parametrize("make_pool", [ThreadPool, get_context("spawn").Pool])
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_callbacks_of_a_pool_run_in_the_session_of_their_job(threads, make_pool, by_name, fails):
    found, job = queue.SimpleQueue(), partial(int, "no number" if fails else "1")

    def called(_):
        found.put(current().session_id)

    def never(_):
        raise AssertionError

    callbacks = (never, called) if fails else (called, never)
    named = dict(zip(("callback", "error_callback"), callbacks, strict=True))
    with using_session("chat-0"):
        pool = make_pool(1)
    with pool:
        for session_id in ("chat-1", "chat-2"):
            with using_session(session_id):
                if by_name:
                    pool.apply_async(job, **named)
                    pool.starmap_async(job, [()], **named)
                else:
                    pool.apply_async(job, (), {}, *callbacks)
                    pool.starmap_async(job, [()], 1, *callbacks)
            assert [found.get(timeout=30) for _ in range(2)] == [session_id] * 2


def test_what_a_pool_is_wrongly_given_is_reported_as_by_multiprocessing(threads):
    with ThreadPool(1) as pool:
        with pytest.raises(TypeError, match="func"):
            pool.apply_async()
        with pytest.raises(TypeError, match="not callable"):
            pool.apply(None)
        with pytest.raises(TypeError, match="not iterable"):
            list(pool.imap(str, 1))
        with pytest.raises(TypeError, match="iterable"):
            pool.imap(str)


class Session(Thread):
    """A thread that records the session that it runs in."""

    def __init__(self):
        self.found = []
        super().__init__(target=lambda: self.found.append(current().session_id))


def test_a_thread_started_by_a_generators_consumer_is_not_in_the_generators_block(threads):
    def stream():
        with using_session("chat-1"):
            yield from range(2)

    def consume():
        with using_session("chat-2"):
            for _ in stream():
                worker = Session()
                worker.start()
                worker.join()
                yield worker.found

    assert list(consume()) == [["chat-2"]] * 2


def test_a_thread_that_has_ended_keeps_nothing_of_its_context(threads):
    class Value:
        pass

    value = Value()
    gone = ref(value)
    token = otel.attach(otel.set_value("value", value))
    worker = Thread(target=lambda: None)
    worker.start()
    worker.join()
    otel.detach(token)
    del value, token
    gc.collect()
    assert worker.ident
    assert gone() is None


def test_a_jobs_exception_is_raised_by_result(threads):
    def fail():
        raise LookupError

    with ThreadPoolExecutor(1) as pool, pytest.raises(LookupError):
        pool.submit(fail).result()


def test_a_wrong_call_raises_pythons_own_error(threads):
    with ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="argument"):
        pool.submit()


def test_a_job_may_have_arguments_of_any_name(threads):
    names = ("context", "function", "fn", "self", "given")
    with ThreadPoolExecutor(1) as pool:
        kwargs = dict.fromkeys(names, 1)
        assert pool.submit(lambda *a, **k: (a, k), 1, **kwargs).result() == ((1,), kwargs)


FUNCTIONS = [
    (Thread, "start"),
    (Thread, "run"),
    (Timer, "run"),
    (ThreadPoolExecutor, "submit"),
    *((Pool, name) for name in ("apply_async", "map_async", "starmap", "imap", "imap_unordered")),
]


def test_undo_restores_every_function():
    before = [vars(cls)[name] for cls, name in FUNCTIONS]
    assert not threads_are_instrumented()
    undo = UndoStack("undoing what a test did")
    instrument_threads(undo)
    assert threads_are_instrumented()
    assert all(vars(cls)[name] is not it for (cls, name), it in zip(FUNCTIONS, before, strict=True))
    assert "start" not in vars(Timer)  # Which would hide what others wrap around Thread's.
    undo.undo()
    assert not threads_are_instrumented()
    assert [vars(cls)[name] for cls, name in FUNCTIONS] == before
    with using_session("chat-1"):
        worker = Session()
        worker.start()
        worker.join()
    assert worker.found == [None]


def test_a_thread_that_was_started_before_the_undo_runs_in_its_context():
    began, go = Event(), Event()
    found = []

    def work():
        began.set()
        assert go.wait(10)
        found.append(current().session_id)

    undo = UndoStack("undoing what a test did")
    instrument_threads(undo)
    with using_session("chat-1"):
        worker = Thread(target=work)
        worker.start()
    assert began.wait(10)
    undo.undo()
    go.set()
    worker.join()
    assert found == ["chat-1"]


def test_where_one_function_cannot_be_wrapped_none_is(monkeypatch):
    start = vars(Thread)["start"]
    for cls in (ThreadPoolExecutor, Executor):
        monkeypatch.delattr(cls, "submit")
    undo = UndoStack("undoing what a test did")
    with pytest.raises(AttributeError):
        instrument_threads(undo)
    assert vars(Thread)["start"] is start
    undo.undo()
    assert not threads_are_instrumented()
