"""A stream or coroutine made inside a block keeps its ids, wherever and whenever it is read.

Between two items the consumer makes a span of its own, which does not get them.
"""

import asyncio
import contextvars
import gc
import threading

import pytest
from opentelemetry import trace

from clew import current, using_session
from tests.landing.calls import run
from tests.landing.streams import STREAMS
from tests.landing.table import SESSION, USER, Outcome

tracer = trace.get_tracer("an-application")


class Consumer:
    """Reads a stream, and makes a span between the items."""

    def __init__(self):
        self.own = []

    def between(self, *_item):
        with tracer.start_as_current_span("between") as span:
            self.own.append(span)

    def read(self, items):
        for _ in items:
            self.between()

    async def aread(self, items):
        async for _ in items:
            self.between()


def outside(items, consumer):
    consumer.read(items)


def in_another_session(items, consumer):
    with using_session("another", user_id="another"):
        consumer.read(items)


def in_another_thread(items, consumer):
    thread = threading.Thread(target=consumer.read, args=(items,))
    thread.start()
    thread.join()


def each_step_in_a_fresh_context(items, consumer):
    steps, end = iter(items), object()
    while contextvars.Context().run(next, steps, end) is not end:
        consumer.between()


def abandoned(items, consumer):
    steps = iter(items)
    next(steps)
    consumer.between()
    del steps, items
    gc.collect()
    consumer.between()


def closed(items, consumer):
    steps = iter(items)
    next(steps)
    consumer.between()
    getattr(steps, "close", getattr(items, "close", consumer.between))()
    consumer.between()


async def aoutside(items, consumer):
    await consumer.aread(items)


async def ain_another_session(items, consumer):
    async with using_session("another", user_id="another"):
        await consumer.aread(items)


async def ain_another_task(items, consumer):
    await asyncio.create_task(consumer.aread(items))


async def aclosed(items, consumer):
    steps = aiter(items)
    for _ in range(3):  # By the third event of LangChain's, the model has been called.
        await anext(steps, None)
        consumer.between()
    close = getattr(steps, "aclose", None) or getattr(items, "close", None)
    if close is not None:
        await close()
    consumer.between()


READ = (
    outside,
    in_another_session,
    in_another_thread,
    each_step_in_a_fresh_context,
    abandoned,
    closed,
)
AREAD = (aoutside, ain_another_session, ain_another_task, aclosed)
AWAIT = (aoutside, ain_another_session, ain_another_task)
CELLS = [
    pytest.param(stream, how, marks=[] if how in {outside, aoutside} else pytest.mark.slow)
    for stream in STREAMS
    for how in {"iterator": READ, "coroutine": AWAIT}.get(stream.kind, AREAD)
]


def named(it):
    return it.name if hasattr(it, "name") else it.__name__


@pytest.mark.parametrize(("stream", "how"), CELLS, ids=named)
def test_streams(stream, how, server, started, report):
    if module := stream.missing():
        pytest.skip(f"{module} is not installed here")
    consumer = Consumer()
    begin = len(started.spans)
    if stream.kind == "iterator":
        with using_session(SESSION, user_id=USER):
            items = stream.make(server)
        assert not current()
        how(items, consumer)
        del items
    else:
        run(main(stream, how, server, consumer))
    gc.collect()
    assert not current()
    ours = {span.get_span_context().span_id for span in consumer.own}
    made = [it for it in started.spans[begin:] if it.get_span_context().span_id not in ours]
    Outcome(made, consumer.own).record(stream.framework, f"{stream.kind} read elsewhere")


async def main(stream, how, server, consumer):
    with using_session(SESSION, user_id=USER):
        thing = stream.make(server)
        if stream.kind == "coroutine of an iterator":
            thing = await thing
    assert not current()
    if stream.kind == "coroutine":
        made, consumer.aread = thing, consumer_of(thing, consumer)
        await how(made, consumer)
    else:
        await how(thing, consumer)


def consumer_of(_awaitable, consumer):
    async def awaits(awaitable):
        consumer.between()
        await awaitable
        consumer.between()

    return awaits
