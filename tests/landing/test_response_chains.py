"""Responses of OpenAI's that each name the one before are one session, in every way of asking."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.landing.calls import installed, openai, run
from tests.landing.table import of_an_instrumentor

pytestmark = pytest.mark.skipif(not installed("openai"), reason="openai is not installed here")

MODEL = "gpt-4o-mini"


def completed(events):
    return next(event.response.id for event in events if event.type == "response.completed")


def created(client, asked):
    return client.responses.create(model=MODEL, **asked).id


def parsed(client, asked):
    return client.responses.parse(model=MODEL, **asked).id


def background(client, asked):
    return client.responses.create(model=MODEL, background=True, **asked).id


def streamed(client, asked):
    with client.responses.create(model=MODEL, stream=True, **asked) as events:
        return completed(events)


def streamed_and_given_up(client, asked):
    with client.responses.create(model=MODEL, stream=True, **asked) as events:
        return next(event.response.id for event in events)


def stream_manager(client, asked):
    with client.responses.stream(model=MODEL, **asked) as stream:
        return stream.get_final_response().id


def raw(client, asked):
    return client.responses.with_raw_response.create(model=MODEL, **asked).parse().id


def raw_stream(client, asked):
    make = client.responses.with_raw_response.create
    return completed(make(model=MODEL, stream=True, **asked).parse())


def streaming_response(client, asked):
    with client.responses.with_streaming_response.create(model=MODEL, **asked) as response:
        return response.parse().id


async def created_async(client, asked):
    return (await client.responses.create(model=MODEL, **asked)).id


async def parsed_async(client, asked):
    return (await client.responses.parse(model=MODEL, **asked)).id


async def streamed_async(client, asked):
    async with await client.responses.create(model=MODEL, stream=True, **asked) as events:
        return completed([event async for event in events])


async def stream_manager_async(client, asked):
    async with client.responses.stream(model=MODEL, **asked) as stream:
        return (await stream.get_final_response()).id


async def raw_async(client, asked):
    return (await client.responses.with_raw_response.create(model=MODEL, **asked)).parse().id


SYNC = (
    *(created, parsed, background, streamed, streamed_and_given_up, stream_manager),
    *(raw, raw_stream, streaming_response),
)
ASYNC = (created_async, parsed_async, streamed_async, stream_manager_async, raw_async)


def first_and_rest(way, server, started):
    """Ask four times, and return the first response's id and the spans of the other three."""
    found = []

    async def main():
        async with AsyncExitStack() as stack:
            if way in ASYNC:
                client = await stack.enter_async_context(openai.async_client(server))
            else:
                client = stack.enter_context(openai.client(server))
            asked = {"input": "Where does the thread lead?"}
            for _ in range(4):
                response = way(client, asked)
                response = await response if asyncio.iscoroutine(response) else response
                found.append((response, len(started.spans)))
                asked = {"input": "And then?", "previous_response_id": response}

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
