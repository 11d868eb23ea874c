"""A generator of the application whose body enters the session and reads a framework's stream.

Spans made in its body belong to the session, and spans that its consumer makes between two items do
not, wherever the generator is finished, and however many there are.
"""

import asyncio
import contextlib
import gc
import threading

import pytest

from clew import current, using_session
from tests.landing.calls import run
from tests.landing.streams import STREAMS
from tests.landing.table import SESSION, USER, Outcome
from tests.landing.test_streams import Consumer, named


def session():
    return using_session(SESSION, user_id=USER)


@contextlib.contextmanager
def managed():
    with session():
        yield


def in_a_block(stream, server):
    with session():
        yield from stream.make(server)


def in_a_context_manager_of_its_own(stream, server):
    with managed():
        yield from stream.make(server)


def in_an_exit_stack(stream, server):
    with contextlib.ExitStack() as stack:
        stack.enter_context(session())
        yield from stream.make(server)


async def in_an_asynchronous_block(stream, server):
    async with session():
        async for item in stream.make(server):
            yield item


async def in_an_asynchronous_exit_stack(stream, server):
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(session())
        async for item in stream.make(server):
            yield item


def in_a_loop(make, consumer):
    consumer.read(make())


def in_another_session(make, consumer):
    with using_session("another", user_id="another"):
        consumer.read(make())


def two_at_once(make, consumer):
    for _ in zip(make(), make(), strict=False):
        consumer.between()


def finished_in_another_thread(make, consumer):
    generator = make()
    next(generator)
    consumer.between()
    thread = threading.Thread(target=list, args=(generator,))
    thread.start()
    thread.join()
    consumer.between()


def abandoned(make, consumer):
    generator = make()
    next(generator)
    consumer.between()
    del generator
    gc.collect()
    consumer.between()


async def ain_a_loop(make, consumer):
    await consumer.aread(make())


async def afinished_in_another_task(make, consumer):
    generator = make()
    await anext(generator)
    consumer.between()
    await asyncio.create_task(drain(generator))
    consumer.between()
    with using_session("another", user_id="another"):
        consumer.between()
    consumer.between()


async def drain(generator):
    async for _ in generator:
        pass


async def aclosed(make, consumer):
    generator = make()
    for _ in range(3):
        await anext(generator, None)
        consumer.between()
    await generator.aclose()
    consumer.between()


BODIES = (in_a_block, in_a_context_manager_of_its_own, in_an_exit_stack)
READ = (in_a_loop, in_another_session, two_at_once, finished_in_another_thread, abandoned)
ABODIES = (in_an_asynchronous_block, in_an_asynchronous_exit_stack)
AREAD = (ain_a_loop, afinished_in_another_task, aclosed)
KINDS = {"iterator": (BODIES, READ), "asynchronous iterator": (ABODIES, AREAD)}
IN_ONE_TASK = {"dspy_streamify"}
"""Streams that the framework itself does not let finish in another task."""
CELLS = [
    pytest.param(stream, body, how, marks=[] if body is bodies[0] else pytest.mark.slow)
    for stream in STREAMS
    if stream.kind in KINDS
    for bodies, hows in (KINDS[stream.kind],)
    for body in bodies
    for how in hows
    if how is not afinished_in_another_task or stream.name not in IN_ONE_TASK
]


@pytest.mark.parametrize(("stream", "body", "how"), CELLS, ids=named)
def test_generators_with_a_block_in_their_body(stream, body, how, server, started, report):
    if module := stream.missing():
        pytest.skip(f"{module} is not installed here")
    consumer = Consumer()
    begin = len(started.spans)

    def make():
        return body(stream, server)

    if stream.kind == "iterator":
        how(make, consumer)
    else:
        run(how(make, consumer))
    gc.collect()
    assert not current()
    ours = {span.get_span_context().span_id for span in consumer.own}
    made = [it for it in started.spans[begin:] if it.get_span_context().span_id not in ours]
    Outcome(made, consumer.own).record(stream.framework, "generator with a block in its body")
