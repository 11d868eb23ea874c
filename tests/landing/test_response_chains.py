"""A chain of OpenAI's `previous_response_id` is one session, in every way of calling."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.landing.calls import installed, openai, run
from tests.landing.table import of_an_instrumentor

pytestmark = pytest.mark.skipif(not installed("openai"), reason="openai is not installed here")

MODEL = "gpt-4o-mini"


def completed(events):
    return next(event.response.id for event in events if event.type == "response.completed")


def created(client, arguments):
    return client.responses.create(model=MODEL, **arguments).id


def parsed(client, arguments):
    return client.responses.parse(model=MODEL, **arguments).id


def background(client, arguments):
    return client.responses.create(model=MODEL, background=True, **arguments).id


def streamed(client, arguments):
    with client.responses.create(model=MODEL, stream=True, **arguments) as events:
        return completed(events)


def streamed_and_abandoned(client, arguments):
    with client.responses.create(model=MODEL, stream=True, **arguments) as events:
        return next(event.response.id for event in events)


def stream_manager(client, arguments):
    with client.responses.stream(model=MODEL, **arguments) as stream:
        return stream.get_final_response().id


def raw(client, arguments):
    return client.responses.with_raw_response.create(model=MODEL, **arguments).parse().id


def raw_stream(client, arguments):
    make = client.responses.with_raw_response.create
    with make(model=MODEL, stream=True, **arguments).parse() as events:
        return completed(events)


def streaming_response(client, arguments):
    with client.responses.with_streaming_response.create(model=MODEL, **arguments) as response:
        return response.parse().id


async def created_async(client, arguments):
    return (await client.responses.create(model=MODEL, **arguments)).id


async def parsed_async(client, arguments):
    return (await client.responses.parse(model=MODEL, **arguments)).id


async def streamed_async(client, arguments):
    async with await client.responses.create(model=MODEL, stream=True, **arguments) as events:
        return completed([event async for event in events])


async def stream_manager_async(client, arguments):
    async with client.responses.stream(model=MODEL, **arguments) as stream:
        return (await stream.get_final_response()).id


async def raw_async(client, arguments):
    return (await client.responses.with_raw_response.create(model=MODEL, **arguments)).parse().id


SYNC = (
    *(created, parsed, background, streamed, streamed_and_abandoned, stream_manager),
    *(raw, raw_stream, streaming_response),
)
ASYNC = (created_async, parsed_async, streamed_async, stream_manager_async, raw_async)


def first_and_rest(way, server, started):
    """Make four requests; return the first response's id and the spans of the other three."""
    found = []

    async def main():
        async with AsyncExitStack() as stack:
            if way in ASYNC:
                client = await stack.enter_async_context(openai.async_client(server))
            else:
                client = stack.enter_context(openai.client(server))
            arguments = {"input": "Where does the thread lead?"}
            for _ in range(4):
                response = way(client, arguments)
                response = await response if asyncio.iscoroutine(response) else response
                found.append((response, len(started.spans)))
                arguments = {"input": "And then?", "previous_response_id": response}

    run(main())
    first, begin = found[0]
    return first, started.spans[begin:]


@pytest.mark.parametrize("way", [*SYNC, *ASYNC], ids=lambda it: it.__name__)
def test_a_chain_is_one_session(way, server, started, report):
    first, made = first_and_rest(way, server, started)
    assert {span.attributes.get("session.id") for span in made} == {first}
    assert sum(map(of_an_instrumentor, made)) == 3


def test_a_chain_that_begins_in_a_conversation_belongs_to_it(server, started, report):
    with openai.client(server) as client:
        begin = len(started.spans)
        first = client.responses.create(model=MODEL, input="Where?", conversation="conv-1")
        client.responses.create(model=MODEL, input="And then?", previous_response_id=first.id)
    assert {span.attributes.get("session.id") for span in started.spans[begin:]} == {"conv-1"}
