"""``clew doctor -- app`` where the app has worker processes, which may end without ``atexit``."""

import os
import sys
from multiprocessing import get_all_start_methods

import pytest

from tests.integration.doctor.test_app import CALL, INSTRUMENT


def test_forked_workers_are_counted_too(app, openai):
    diagnosis = app(
        INSTRUMENT
        + CALL
        + """
import os, sys
if (child := os.fork()) == 0:
    with clew.using_session("in the child"):
        call()
    sys.exit()
os.waitpid(child, 0)
call()
"""
    )
    assert diagnosis.data["app"]["processes"] == 2
    assert diagnosis.data["app"]["spans"]["model_calls"] == 2
    assert diagnosis.says("app-session", "2 model calls, 1 of them")


@pytest.mark.parametrize("method", get_all_start_methods())
def test_workers_of_a_process_pool_are_counted_too(app, openai, method):
    """They end without running ``atexit``."""
    jobs = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def job(number):
    with clew.using_session("in a worker", user_id="ada"):
        call()

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("METHOD")) as pool:
        assert len(list(pool.map(job, range(4)))) == 4
"""
    diagnosis = app(INSTRUMENT + CALL + jobs.replace("METHOD", method))
    assert diagnosis.found("app-watched") == diagnosis.found("app-end") == []
    assert diagnosis.data["app"]["spans"] == {"ended": 4, "model_calls": 4}
    assert diagnosis.severity("app-session") == "ok"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_worker_of_uvicorn_is_counted_too(app, openai):
    """It dies of the SIGTERM that has ended it."""
    pytest.importorskip("uvicorn")
    diagnosis = app(
        INSTRUMENT
        + CALL
        + """
from multiprocessing import get_context
import uvicorn

async def application(scope, receive, send):
    while (await receive())["type"] != "lifespan.shutdown":
        call()
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})

class Server(uvicorn.Server):
    async def main_loop(self):
        ready.set()
        await super().main_loop()

def serve():
    Server(uvicorn.Config(application, port=0, log_level="error")).run()

context = get_context("fork")
ready = context.Event()
worker = context.Process(target=serve)
worker.start()
assert ready.wait(30)
worker.terminate()
worker.join()
assert worker.exitcode == -15
"""
    )
    assert diagnosis.found("app-watched") == diagnosis.found("app-end") == []
    assert diagnosis.data["app"]["spans"]["model_calls"] == 1


FORKED = """
import os, signal
if (child := os.fork()) == 0:
    clew.instrument_all()
    call()
    {end}
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_workers_that_record_nothing(app, openai):
    """What they have done is not known, so that nothing is said of what the app does not do."""
    diagnosis = app(CALL + FORKED.format(end="os.kill(os.getpid(), signal.SIGKILL)"))
    assert diagnosis.data["app"]["processes"] == 1
    assert diagnosis.severity("app-watched") == "warning"
    assert diagnosis.says("app-watched", "1 process of the app made spans", "os._exit()")
    assert diagnosis.found("app-armed") == diagnosis.found("app-calls") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_that_ends_at_once_records_what_it_did(app, openai):
    diagnosis = app(CALL + FORKED.format(end="os._exit(0)"))
    assert diagnosis.data["app"]["processes"] == 2
    assert diagnosis.found("app-watched") == []
    assert diagnosis.data["app"]["spans"]["model_calls"] == 1
