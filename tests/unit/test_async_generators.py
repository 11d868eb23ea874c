"""Decorated asynchronous generators: steps, tasks, cancellation, abandonment."""

import asyncio
import contextvars
import gc

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


async def here(step):
    return await step()


@pytest.fixture(params=[here, in_a_task])
def take(request):
    async def taken(awaitable):
        async def step():
            return await awaitable

        return await request.param(step)

    return taken


def test_an_async_generator_has_the_session_at_each_step_and_its_consumer_never(take):
    async def main():
        generator = three()
        for _ in range(3):
            assert await take(anext(generator)) == ("chat-42", None)
            assert not current()
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()

    asyncio.run(main())


def test_an_async_generator_belongs_to_the_block_it_was_made_in(take):
    async def main():
        with using_user("ada"):
            generator = three()
        with using_user("bob"):
            assert await take(anext(generator)) == ("chat-42", "ada")
        await generator.aclose()

    asyncio.run(main())


def test_asend_and_athrow(take):
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
        assert await take(generator.asend(None)) == ("chat-42", None)
        assert await take(generator.asend("sent")) == ("sent", "chat-42", None)
        assert await take(generator.athrow(KeyError())) == ("caught", "chat-42", None)
        with pytest.raises(StopAsyncIteration):
            await generator.asend(None)
        assert not current()

    asyncio.run(main())


def test_athrow_that_nobody_catches(take):
    async def main():
        generator = three()
        await take(anext(generator))
        with pytest.raises(KeyError):
            await take(generator.athrow(KeyError()))
        with pytest.raises(StopAsyncIteration):
            await anext(generator)

    asyncio.run(main())


def test_blocks_inside_the_body_last_over_its_steps_and_no_longer(take):
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
            seen = [await take(anext(generator))]
        assert not current()
        seen += [await take(anext(generator)) for _ in range(2)]
        assert not current()
        return [user for _, user in seen]

    assert asyncio.run(main()) == ["ada", "ada", None]


@pytest.fixture
def tidying():
    """An asynchronous generator that says which session it had when it tidied up."""
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


def test_aclose(tidying, take):
    async def main():
        generator = tidying()
        await take(anext(generator))
        await take(generator.aclose())
        assert not current()

    asyncio.run(main())


def test_breaking_off_and_forgetting(tidying, caplog):
    async def main():
        async for _ in tidying():
            break
        gc.collect()
        await asyncio.sleep(0.01)
        assert not current()

    asyncio.run(main())
    assert caplog.records == []


def test_left_to_the_end_of_the_loop(tidying, caplog):
    async def main():
        generator = tidying()
        await anext(generator)
        return generator

    asyncio.run(main())
    assert caplog.records == []


def test_forgotten_in_a_cycle(tidying, caplog):
    async def main():
        cycle = [tidying()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert caplog.records == []


def test_cancellation_in_the_middle_of_a_step():
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
