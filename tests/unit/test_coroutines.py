"""Decorated coroutines: steps, tasks, cancellation."""

import asyncio
import contextvars

import pytest

from clew import carry, current, using_session, using_user

session = using_session("chat-42")


def ids():
    said = current()
    return said.session_id, said.user_id


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


def test_a_coroutine_belongs_to_the_block_it_was_created_in(run_step):
    @session
    async def answer():
        before = ids()
        await asyncio.sleep(0)
        return before, ids()

    async def main():
        with using_user("ada"):
            made = answer()
        assert not current()
        result = await run_step(made)
        assert not current()
        return result

    assert asyncio.run(main()) == (("chat-42", "ada"),) * 2


def test_concurrent_coroutines_keep_their_own_sessions():
    async def one(number):
        @using_session(f"session-{number}")
        async def answer():
            seen = []
            for _ in range(3):
                seen.append(current().session_id)
                await asyncio.sleep(0)
            return set(seen)

        return await answer()

    async def main():
        return await asyncio.gather(*map(one, range(10)))

    assert asyncio.run(main()) == [{f"session-{number}"} for number in range(10)]


def test_the_caller_that_awaits_never_has_the_session():
    seen = []

    @session
    async def answer():
        for _ in range(3):
            await asyncio.sleep(0)

    async def main():
        task = asyncio.create_task(answer())
        while not task.done():
            seen.append(bool(current()))
            await asyncio.sleep(0)

    asyncio.run(main())
    assert set(seen) == {False}


def test_a_cancelled_coroutine_cleans_up_in_its_session():
    seen = []

    @session
    async def answer():
        with using_user("ada"):
            try:
                await asyncio.sleep(10)
            finally:
                seen.append(ids())
                await asyncio.sleep(0)
                seen.append(ids())

    async def main():
        task = asyncio.create_task(answer())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not current()

    asyncio.run(main())
    assert seen == [("chat-42", "ada")] * 2


def test_a_coroutine_that_times_out_cleans_up_in_its_session():
    @session
    async def answer():
        async with asyncio.timeout(0.001):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(answer())
    assert not current()


def test_a_closed_coroutine_cleans_up_in_its_session():
    seen = []

    @session
    async def answer():
        try:
            await asyncio.Future()
        finally:
            seen.append(ids())

    async def main():
        made = answer()
        made.send(None)
        made.close()
        assert not current()

    asyncio.run(main())
    assert seen == [("chat-42", None)]


class BareSteps:
    """An awaitable whose steps are an iterator's that takes no exceptions, as one made in C."""

    def __init__(self):
        self._left = 2

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            raise StopIteration(ids())
        self._left -= 1


class Items:
    """An asynchronous iterator that returns such awaitables."""

    def __aiter__(self):
        return self

    def __anext__(self):
        return BareSteps()


def test_the_steps_of_a_bare_iterator_are_all_taken_in_the_session():
    async def main():
        with session:
            items = carry(Items())
        assert not current()
        return await anext(items)

    assert asyncio.run(main()) == ("chat-42", None)
