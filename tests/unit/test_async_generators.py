"""Decorated asynchronous generators: steps, tasks, cancellation, garbage collection."""

import asyncio
import contextvars
import gc
import sys

import pytest

from clew import current, using_session, using_user

session = using_session("chat-42")


def ids():
    said = current()
    return said.session_id, said.user_id


@session
async def three():
    for _ in range(3):
        await asyncio.sleep(0)
        yield ids()


async def in_a_task(step):
    return await asyncio.create_task(step(), context=contextvars.Context())


async def directly(step):
    return await step()


@pytest.fixture(params=[directly, in_a_task])
def run_step(request):
    async def taken(awaitable):
        async def step():
            return await awaitable

        return await request.param(step)

    return taken


def test_the_body_has_the_session_at_each_step_and_the_consumer_never(run_step):
    async def main():
        generator = three()
        for _ in range(3):
            assert await run_step(anext(generator)) == ("chat-42", None)
            assert not current()
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()

    asyncio.run(main())


def test_an_async_generator_belongs_to_the_block_it_was_created_in(run_step):
    async def main():
        with using_user("ada"):
            generator = three()
        with using_user("bob"):
            assert await run_step(anext(generator)) == ("chat-42", "ada")
        await generator.aclose()

    asyncio.run(main())


def test_asend_and_athrow(run_step):
    @session
    async def body():
        received = yield ids()
        try:
            yield received, *ids()
        except KeyError:
            await asyncio.sleep(0)
            yield "caught", *ids()

    async def main():
        generator = body()
        assert await run_step(generator.asend(None)) == ("chat-42", None)
        assert await run_step(generator.asend("sent")) == ("sent", "chat-42", None)
        assert await run_step(generator.athrow(KeyError())) == ("caught", "chat-42", None)
        with pytest.raises(StopAsyncIteration):
            await generator.asend(None)
        assert not current()

    asyncio.run(main())


def test_an_exception_that_the_body_does_not_catch_after_athrow(run_step):
    async def main():
        generator = three()
        await run_step(anext(generator))
        with pytest.raises(KeyError):
            await run_step(generator.athrow(KeyError()))
        with pytest.raises(StopAsyncIteration):
            await anext(generator)

    asyncio.run(main())


def test_blocks_in_the_body_last_across_its_steps_and_end_with_it(run_step):
    @session
    async def body():
        async with using_user("ada"):
            yield ids()
            await asyncio.sleep(0)
            yield ids()
        yield ids()

    async def main():
        generator = body()
        with using_user("consumer"):
            seen = [await run_step(anext(generator))]
        assert not current()
        seen += [await run_step(anext(generator)) for _ in range(2)]
        assert not current()
        return [user for _, user in seen]

    assert asyncio.run(main()) == ["ada", "ada", None]


@pytest.fixture
def body_with_finally():
    """An asynchronous generator; checks that it had the session while it cleaned up."""
    seen = []

    @session
    async def body():
        try:
            while True:
                yield ids()
                await asyncio.sleep(0)
        finally:
            seen.append(ids())
            await asyncio.sleep(0)
            seen.append(ids())

    yield body
    assert seen == [("chat-42", None)] * 2


def test_aclose_lets_the_body_clean_up_in_its_session(body_with_finally, run_step):
    async def main():
        generator = body_with_finally()
        await run_step(anext(generator))
        await run_step(generator.aclose())
        assert not current()

    asyncio.run(main())


def test_a_generator_discarded_after_break_cleans_up_in_its_session(body_with_finally, caplog):
    async def main():
        async for _ in body_with_finally():
            break
        gc.collect()
        await asyncio.sleep(0.01)
        assert not current()

    asyncio.run(main())
    assert caplog.records == []


def test_a_generator_left_open_is_closed_at_the_end_of_the_loop(body_with_finally, caplog):
    async def main():
        generator = body_with_finally()
        await anext(generator)
        return generator

    asyncio.run(main())
    assert caplog.records == []


def test_a_generator_in_a_cycle_of_garbage_cleans_up_in_its_session(body_with_finally, caplog):
    async def main():
        cycle = [body_with_finally()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert caplog.records == []


def test_cancelling_a_step_lets_the_body_clean_up_in_its_session():
    seen = []

    @session
    async def body():
        try:
            yield
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append(ids())
            raise

    async def consume():
        async for _ in body():
            pass

    async def main():
        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not current()

    asyncio.run(main())
    assert seen == [("chat-42", None)]


def test_an_exception_of_the_body_reaches_the_consumer():
    @session
    async def body():
        yield
        raise KeyError

    async def main():
        generator = body()
        await anext(generator)
        with pytest.raises(KeyError):
            await anext(generator)
        assert not current()

    asyncio.run(main())


def test_interleaved_async_generators_do_not_mix():
    def stream(name):
        @using_session(name)
        async def body():
            for _ in range(5):
                await asyncio.sleep(0)
                yield current().session_id

        return body()

    async def collect(name):
        return {said async for said in stream(name)}

    async def main():
        return await asyncio.gather(*map(collect, "abc"))

    assert asyncio.run(main()) == [{"a"}, {"b"}, {"c"}]


def test_the_loop_still_learns_of_the_generators_that_begin_later():
    async def main():
        before = sys.get_asyncgen_hooks()
        async for _ in three():
            assert sys.get_asyncgen_hooks() == before

    asyncio.run(main())
