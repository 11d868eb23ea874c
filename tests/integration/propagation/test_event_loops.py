"""Event loops: each job runs in the session that it was submitted in."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from clew import current
from clew.context.carry import carry
from tests.integration.propagation.span_counts import CALLERS, Count, submit_as


@asynccontextmanager
async def run_in_executor():
    with ThreadPoolExecutor(1) as pool:
        yield lambda job: asyncio.get_running_loop().run_in_executor(pool, job)


@asynccontextmanager
async def asyncio_to_thread():
    yield lambda job: asyncio.create_task(asyncio.to_thread(job))


@asynccontextmanager
async def task():
    async def run(job):
        await asyncio.sleep(0)
        job()

    yield lambda job: asyncio.create_task(run(job))


@asynccontextmanager
async def anyio_to_thread_in_a_group():
    async with anyio.create_task_group() as group:

        def submit_job(job):
            done = anyio.Event()

            async def run():
                await anyio.to_thread.run_sync(job)
                done.set()

            group.start_soon(run)
            return done.wait()

        yield submit_job


@asynccontextmanager
async def call_soon():
    yield lambda job: _called(lambda call: asyncio.get_running_loop().call_soon(call), job)


@asynccontextmanager
async def call_later():
    yield lambda job: _called(lambda call: asyncio.get_running_loop().call_later(0, call), job)


@asynccontextmanager
async def call_soon_threadsafe():
    with ThreadPoolExecutor(1) as pool:
        loop = asyncio.get_running_loop()
        yield lambda job: _called(lambda call: pool.submit(loop.call_soon_threadsafe, call), job)


def _called(schedule, job):
    done = asyncio.get_running_loop().create_future()

    def call():
        job()
        done.set_result(None)

    schedule(carry(call))
    return done


@asynccontextmanager
async def asyncio_queue_worker_started_before():
    jobs = asyncio.Queue()

    async def work():
        while (job := await jobs.get()) is not None:
            await job()
            jobs.task_done()
            assert not current()

    worker = asyncio.create_task(work())

    def submit_job(job):
        async def run():
            await asyncio.sleep(0)
            job()

        jobs.put_nowait(carry(run))
        return jobs.join()

    yield submit_job
    jobs.put_nowait(None)
    await worker


@pytest.mark.parametrize(
    "row",
    [
        run_in_executor,
        asyncio_to_thread,
        task,
        anyio_to_thread_in_a_group,
        call_soon,
        call_later,
        call_soon_threadsafe,
        asyncio_queue_worker_started_before,
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "after all blocks"])
def test_event_loops(threads, telemetry, row, late):
    async def main():
        waits = []
        async with row() as submit_job:
            for who in CALLERS:
                wait = submit_as(telemetry.tracer, who, submit_job)
                if late:
                    waits.append(wait)
                else:
                    await wait
            for wait in waits:
                await wait

    asyncio.run(main())
    assert telemetry.count() == Count(spans=2 * len(CALLERS))
