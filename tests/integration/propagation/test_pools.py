"""Pools of processes: each task runs in its submitter's session, and leaves no ids for the next."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from multiprocessing.pool import Pool

import pytest

from clew import current, using_session
from clew.propagation.pools import carry_initializer, uninstrument_pools
from tests.integration.propagation import callables
from tests.integration.propagation.span_counts import Count

METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("row", ["executor", "pool", "process", "terminated"])
def test_tasks_have_the_ids_of_their_submitter(program, collector, method, row):
    jobs = int(program("pools.py", method, row))
    first = len([span for span in collector.seen if span.name == "job"]) - jobs
    # Each worker of a pool with an initializer runs that once.
    assert {"executor": first == 1, "pool": first >= 2}.get(row, first == 0)
    assert collector.count() == Count(spans=2 * (jobs + first))


@pytest.fixture
def pools():
    yield
    uninstrument_pools()


def test_a_forked_worker_leaves_the_context_that_it_inherited(pools):
    found = []

    def worker():
        initializer("ready")
        return current()

    with using_session("chat-1", user_id="ada"):
        initializer = carry_initializer(lambda *given: found.append((*given, callables.ids())), 1)
        inherited = copy_context()
    assert not inherited.run(worker)
    assert found == [(1, "ready", ("chat-1", "ada"))]


def test_a_pool_of_threads_may_have_the_initializer(pools):
    with ThreadPoolExecutor(1, initializer=carry_initializer()) as pool:
        assert pool.submit(callables.function).result() == (None, None)


def test_pools_without_the_initializer_are_unchanged(pools):
    carry_initializer()
    with using_session("chat-1"), ProcessPoolExecutor(1) as pool, pytest.raises(TypeError):
        pool.submit("no function").result()


def test_uninstrument_restores_the_classes_of_pools():
    before = [vars(Pool)["map"], vars(ProcessPoolExecutor)["submit"]]
    carry_initializer()
    carry_initializer()
    assert vars(Pool)["map"] is not before[0]
    uninstrument_pools()
    assert [vars(Pool)["map"], vars(ProcessPoolExecutor)["submit"]] == before


@pytest.mark.parametrize("again", ["instrument_all(exclude=['bedrock'])", "again()"])
def test_pools_are_instrumented_again_by_a_later_call(python, again):
    """Under ``opentelemetry-instrument`` the application's own call starts everything again."""
    done = python(f"""
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from clew import current, instrument_all, uninstrument_all, using_session
        from clew.propagation.pools import carry_initializer
        from clew.instrument.api import instrument_automatically

        def session():
            return current().session_id

        def again():
            uninstrument_all()
            assert not hasattr(ProcessPoolExecutor.submit, "__wrapped__")
            instrument_all()

        instrument_automatically()
        context = get_context("fork")
        with ProcessPoolExecutor(1, context, initializer=carry_initializer()) as pool:
            {again}
            with using_session("chat-1"):
                print(pool.submit(session).result())
        uninstrument_all()
        assert not hasattr(ProcessPoolExecutor.submit, "__wrapped__")
    """)
    assert done.stdout.split() == ["chat-1"]
