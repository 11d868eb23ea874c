"""The ways in which the landing table makes each call inside a block."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

Block = Callable[[], object]
Way = Callable[[Callable[[], None], Block], None]


def inside(call, block):
    with block():
        call()


def decorated(call, block):
    block()(call)()


def entered_twice(call, block):
    one = block()
    with one, one:
        call()


def asynchronously(call, block):
    async def main():
        async with block():
            await asyncio.to_thread(call)

    asyncio.run(main())


def in_an_executor(call, block):
    async def main():
        loop = asyncio.get_running_loop()
        with block():
            pending = loop.run_in_executor(None, call)
        await pending

    asyncio.run(main())


def in_a_thread(call, block):
    raised = []

    def target():
        try:
            call()
        except BaseException as error:  # Raised again where the test is
            raised.append(error)

    with block():
        thread = threading.Thread(target=target)
        thread.start()
    thread.join()
    if raised:
        raise raised[0]


def in_a_pool(call, block):
    with ThreadPoolExecutor(1) as pool:
        with block():
            pending = pool.submit(call)
        pending.result()


WAYS = (inside, decorated, entered_twice, asynchronously, in_an_executor, in_a_thread, in_a_pool)


def first_is_fast(values):
    """Mark all but the first as slow: the fast suite makes each call in one way."""
    first, *others = values
    return [first, *(pytest.param(it, marks=pytest.mark.slow) for it in others)]
