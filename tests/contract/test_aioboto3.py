"""aioboto3, which pins a botocore of its own: coroutines, streams and bodies read elsewhere."""

import asyncio
import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from clew import State, current, instrument_all, uninstrument_all, using_session
from tests.landing.calls import bedrock
from tests.landing.conftest import Started
from tests.providers import ProviderServer

aioboto3 = pytest.importorskip("aioboto3")


@pytest.fixture
def spans():
    started = Started()
    provider = TracerProvider()
    provider.add_span_processor(started)
    report = instrument_all(tracer_provider=provider)
    assert report["bedrock"].state is State.ACTIVE
    yield started.spans
    uninstrument_all()


def client(server, service="bedrock-runtime"):
    return aioboto3.Session().client(
        service,
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


async def converse(runtime):
    return await runtime.converse(modelId=bedrock.CLAUDE, messages=bedrock.MESSAGES)


async def body(runtime):
    response = await runtime.invoke_model(modelId=bedrock.CLAUDE, body=bedrock.CLAUDE_BODY)
    return json.loads(await response["body"].read())


async def stream(runtime):
    response = await runtime.converse_stream(modelId=bedrock.CLAUDE, messages=bedrock.MESSAGES)
    return [event async for event in response["stream"]]


CALLS = {
    "converse": lambda it: it.converse(modelId=bedrock.CLAUDE, messages=bedrock.MESSAGES),
    "invoke_model": lambda it: it.invoke_model(modelId=bedrock.CLAUDE, body=bedrock.CLAUDE_BODY),
    "converse_stream": lambda it: it.converse_stream(
        modelId=bedrock.CLAUDE, messages=bedrock.MESSAGES
    ),
}


async def read(response):
    if "body" in response:
        await response["body"].read()
    if "stream" in response:
        async for _ in response["stream"]:
            assert current().session_id in (None, "another")


@pytest.mark.parametrize("elsewhere", ["outside", "in another session", "in another task"])
@pytest.mark.parametrize("call", CALLS)
def test_awaited_and_read_elsewhere(spans, call, elsewhere):
    async def await_and_read(coroutine):
        await read(await coroutine)

    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                with using_session("chat-42", user_id="ada"):
                    coroutine = CALLS[call](runtime)
                assert not current()
                if elsewhere == "in another session":
                    with using_session("another", user_id="another"):
                        await await_and_read(coroutine)
                elif elsewhere == "in another task":
                    await asyncio.create_task(await_and_read(coroutine))
                else:
                    await await_and_read(coroutine)

    asyncio.run(main())
    assert spans
    ids = {(it.attributes.get("session.id"), it.attributes.get("user.id")) for it in spans}
    assert ids == {("chat-42", "ada")}
    assert all(span.end_time is not None for span in spans)
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("way", [converse, body, stream])
def test_inside(spans, way):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                with using_session("chat-42", user_id="ada"):
                    assert await way(runtime)

    asyncio.run(main())
    assert {span.attributes.get("session.id") for span in spans} == {"chat-42"}
