"""The loop in which `evaluate` works: the same one each time, because clients keep connections."""

import asyncio
import os
import signal
from contextvars import ContextVar
from threading import Thread
from threading import enumerate as enumerate_threads

import pytest

from clew.evaluations import evaluate, evaluator
from tests.unit.evaluations.asking import Asked

WHO = ContextVar("who", default="nobody")


@pytest.fixture
def noted():
    """An evaluator that notes the loop in which it is called, and a variable."""
    seen = []

    @evaluator
    async def judged(_):
        seen.append((asyncio.get_running_loop(), WHO.get()))
        return 1

    return judged, seen


def in_a_notebook(function):
    async def cell():
        return function()

    loop = asyncio.new_event_loop()  # `asyncio.run` would take an interrupt for itself.
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


def test_every_run_works_in_the_same_loop(store, noted):
    judged, seen = noted
    evaluate(store, judged, again=True)
    in_a_notebook(lambda: evaluate(store, judged, again=True))
    other = Thread(target=evaluate, args=(store, judged), kwargs={"again": True})
    other.start()
    other.join(60)
    evaluate(store, judged, again=True)
    assert len(seen) == 8
    assert len({loop for loop, _ in seen}) == 1
    assert not seen[0][0].is_closed()


def test_evaluators_have_the_variables_of_who_evaluates(store, noted):
    judged, seen = noted
    WHO.set("ada")
    evaluate(store, judged)
    assert {who for _, who in seen} == {"ada"}


def test_an_asynchronous_evaluator_can_let_others_evaluate(store, noted):
    judged, seen = noted

    @evaluator
    async def outer(session):
        return evaluate(store, judged, sessions=[session.id]).made

    assert evaluate(store, outer, concurrency=2).made == 2
    assert evaluate(store, outer, again=True).made == 2
    inner = {loop for loop, _ in seen}
    evaluate(store, judged, again=True)
    assert len(inner) == 1
    assert inner != {seen[-1][0]}


def test_a_forked_process_has_a_loop_of_its_own(store):
    asked = Asked()
    assert evaluate(store, asked.evaluator).made == 2
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if evaluate(store, asked.evaluator, again=True).made == 2 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert evaluate(store, asked.evaluator, again=True).made == 2


@pytest.mark.parametrize("begin", [lambda function: function(), in_a_notebook])
def test_an_interrupt_ends_the_run(store, begin):
    begun, ended = [], []

    @evaluator
    async def interrupted(session):
        begun.append(session.id)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(session.id)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            begin(lambda: evaluate(store, interrupted, concurrency=1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) == 1
    assert ended == begun
    # That of the store has ended, and the session can be claimed by others.
    assert not any(it.name.startswith("clew-evaluations") for it in enumerate_threads())
    assert evaluate(store, Asked().evaluator).made == 2
