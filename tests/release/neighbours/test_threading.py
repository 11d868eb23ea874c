"""With OpenTelemetry's own instrumentation of threading, switched on and off in every order."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from itertools import permutations
from threading import Thread, Timer
from time import perf_counter

import pytest

from clew import current, using_session
from clew.patching.undo import UndoStack
from clew.propagation.threads import instrument_threads, threads_are_instrumented
from tests.support.commands import run_command

NAME = "opentelemetry-instrumentation-threading"
if not find_spec("opentelemetry.instrumentation.threading"):
    # The session names the one that it has installed, so that it cannot pass by skipping all.
    assert os.environ.get("NEIGHBOUR") != NAME, f"{NAME} is not installed"
    pytest.skip(f"{NAME} is not installed; run nox -s neighbours", allow_module_level=True)

ThreadingInstrumentor = import_module(
    "opentelemetry.instrumentation.threading"
).ThreadingInstrumentor
ORDERS = [
    steps
    for steps in permutations(["clew on", "clew off", "theirs on", "theirs off"])
    if all(steps.index(f"{it} on") < steps.index(f"{it} off") for it in ("clew", "theirs"))
]
FUNCTIONS = [(Thread, "start"), (Thread, "run"), (Timer, "run"), (ThreadPoolExecutor, "submit")]


def sessions():
    """Return the sessions that a thread, a timer and a pool's job run in, begun in one."""
    found = []

    def work():
        found.append(current().session_id)

    with ThreadPoolExecutor(1) as pool, using_session("chat-1"):
        for worker in (Thread(target=work), Timer(0, work)):
            worker.start()
            worker.join()
        pool.submit(work).result()
    return found


def depth():
    """Return how many wrappers there are around each function."""
    found = []
    for cls, name in FUNCTIONS:
        function, wrappers = vars(cls)[name], 0
        while (wrapped := getattr(function, "__wrapped__", None)) is not None:
            function, wrappers = wrapped, wrappers + 1
        found.append(wrappers)
    return found


def switch_clew_on():
    undo = UndoStack("undoing what a test did")
    instrument_threads(undo)
    return undo.undo


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
def test_threads_have_the_session_while_either_is_on(order):
    theirs, undo, depths = ThreadingInstrumentor(), [], []

    def switch_clew_off():
        undo.pop()()

    does = {
        "clew on": lambda: undo.append(switch_clew_on()),
        "clew off": switch_clew_off,
        "theirs on": theirs.instrument,
        "theirs off": theirs.uninstrument,
    }
    for _ in range(3):
        on = set()
        for step in order:
            who, what = step.split()
            on = on | {who} if what == "on" else on - {who}
            does[step]()
            assert sessions() == ["chat-1" if on else None] * 3, step
            assert threads_are_instrumented() == bool(on)
        depths.append(depth())
    assert depths[0] == depths[1] == depths[2]
    assert max(depths[0]) <= 1  # One of clew's that was undone beneath theirs, and does nothing.


def wrappers_alone(monkeypatch, switch_on):
    """Return the seconds that the wrappers take by themselves, for a thread and for a job."""

    def nothing(*_given, **_named):
        pass

    with monkeypatch.context() as patch:
        for cls, name in FUNCTIONS:
            patch.setattr(cls, name, nothing)
        switch_off = switch_on()
        pool = ThreadPoolExecutor(1)
        thread = Thread(target=nothing)
        began = perf_counter()
        for _ in range(500):
            thread.start()
            thread.run()
        middle = perf_counter()
        for _ in range(500):
            pool.submit(nothing)
        ended = perf_counter()
        switch_off()
    return middle - began, ended - middle


def test_a_thread_and_a_job_cost_no_more_than_theirs(monkeypatch):
    def theirs():
        ThreadingInstrumentor().instrument()
        return ThreadingInstrumentor().uninstrument

    # One after the other, so that what else the machine does slows both. The fastest of each is
    # compared; on a busy machine it takes more rounds until both had an undisturbed one.
    thread, job = [], []
    with using_session("chat-1"):
        for rounds in range(1, 201):
            clew_thread, clew_job = wrappers_alone(monkeypatch, switch_clew_on)
            their_thread, their_job = wrappers_alone(monkeypatch, theirs)
            thread.append((clew_thread, their_thread))
            job.append((clew_job, their_job))
            ratios = [
                min(ours for ours, _ in times) / min(others for _, others in times)
                for times in (thread, job)
            ]
            if rounds >= 20 and max(ratios) < 1.25:
                break
    assert max(ratios) < 1.25, ratios


PROGRAM = """
import threading
from clew import current, uninstrument_all, using_session

def session():
    found = []
    with using_session("chat-1"):
        worker = threading.Thread(target=lambda: found.append(current().session_id))
        worker.start()
        worker.join()
    return found[0]

from opentelemetry.instrumentation.threading import ThreadingInstrumentor
assert ThreadingInstrumentor().is_instrumented_by_opentelemetry
print(session())
ThreadingInstrumentor().uninstrument()
print(session())
uninstrument_all()
print(session())
"""


def test_both_are_switched_on_by_their_entry_points():
    hook = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    done = run_command(
        [sys.executable, "-c", hook, sys.executable, "-c", PROGRAM],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none", "CLEW_EXCLUDE": "openai"},
    )
    assert done.stdout.split() == ["chat-1", "chat-1", "None"]
