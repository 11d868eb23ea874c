"""The repairs for aioboto3, with coroutines, streams and bodies that are read in other contexts."""

import asyncio
import gc
import json
import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from clew import State, current, instrument_all, uninstrument_all, using_session
from tests.integration.contract.aioboto3_defects import (
    CONVERSE,
    DEFECTS,
    INVOKE,
    cancel_in_flight,
    client,
)
from tests.integration.contract.bedrock_defects import AGENT
from tests.integration.contract.defects import SpanRecorder, warnings_of
from tests.landing.calls import bedrock
from tests.support.providers import ProviderServer

pytest.importorskip("aiobotocore.session")


@pytest.fixture
def recorder():
    recorder = SpanRecorder()
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    report = instrument_all(tracer_provider=provider)
    assert report["bedrock"].state is State.ACTIVE
    yield recorder
    uninstrument_all()


@pytest.fixture
def spans(recorder):
    return recorder.started


@DEFECTS.cases()
def test_defect_is_gone_with_clew(defect, python_in_the_tree):
    python_in_the_tree(DEFECTS.code(defect, "mended"))


@DEFECTS.cases()
def test_defect_is_still_in_upstream(defect, python_in_the_tree):
    python_in_the_tree(DEFECTS.code(defect, "upstream"))


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
def test_call_awaited_elsewhere_keeps_its_session(spans, call, elsewhere):
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
def test_call_awaited_in_its_block_has_its_session(spans, way):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                with using_session("chat-42", user_id="ada"):
                    assert await way(runtime)

    asyncio.run(main())
    assert {span.attributes.get("session.id") for span in spans} == {"chat-42"}


# --- bodies are read as those of the bare SDK ---


async def all_at_once(body):
    return await body.read()


async def in_a_block(body):
    async with body as raw:
        return await raw.read()


def response(raw):
    """Return aiohttp's response, which aiobotocore 2 returns from `async with` and 3 wraps."""
    return getattr(raw, "raw_stream", raw)


async def as_json(body):
    async with body as raw:
        return json.dumps(await response(raw).json(content_type=None)).encode()


async def by_the_content(body):
    async with body as raw:
        return b"".join([part async for part in response(raw).content.iter_chunked(7)])


async def any_part(body):
    async with body as raw:
        return b"".join([part async for part, _ in response(raw).content.iter_chunks()])


async def steps(body):
    return b"".join([part async for part in body])


async def chunks(body):
    return b"".join([part async for part in body.iter_chunks(9)])


async def lines(body):
    return b"".join([line async for line in body.iter_lines()])


async def amounts(body):
    found = b""
    while part := await body.read(50):
        found += part
        assert body.tell() == len(found)
    assert await body.read() == b""
    return found


async def into_a_buffer(body):
    found, buffer = b"", bytearray(64)
    while count := await body.readinto(buffer):
        found += buffer[:count]
    return found


WAYS = [
    *(all_at_once, in_a_block, as_json, by_the_content, any_part),
    *(steps, chunks, lines, amounts, into_a_buffer),
]


@pytest.mark.parametrize("way", WAYS)
def test_body_can_be_read_in_any_way(recorder, way):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                # The body is held by nothing but what reads it.
                found = await way((await runtime.invoke_model(**INVOKE))["body"])
                assert recorder.open == []
                return json.loads(found), server.usage

    answer, usage = asyncio.run(main())
    assert answer["content"][0]["text"] in recorder.span.attributes["output.value"]
    assert recorder.span.status.status_code.name == "OK"
    assert recorder.tokens() == (usage.prompt, usage.completion, usage.total, 0, 0)
    assert len(recorder.ends) == 1


async def never_read(body):
    del body


async def half_read(body):
    assert await body.read(10)


async def half_read_in_a_block(body):
    async with body as raw:
        assert await response(raw).content.readexactly(10)


async def closed(body):
    assert await body.read(10)
    body.close()
    body.close()


@pytest.mark.parametrize("way", [never_read, half_read, half_read_in_a_block, closed])
def test_abandoned_body_ends_its_span_once(recorder, way, caplog):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                await way((await runtime.invoke_model(**INVOKE))["body"])
                gc.collect()
                assert recorder.open == []

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        asyncio.run(main())
    assert warnings_of(caplog) == []
    assert len(recorder.ends) == 1
    assert recorder.span.status.status_code.name == "UNSET"
    assert ("output.value" in recorder.span.attributes) == (way is not never_read)


# --- whatever is cancelled ends its span once ---


def calls(runtime, agents):
    rag = {"type": "EXTERNAL_SOURCES", "externalSourcesConfiguration": SOURCES}
    return {
        "converse": lambda: runtime.converse(**CONVERSE),
        "converse_stream": lambda: runtime.converse_stream(**CONVERSE),
        "invoke_model": lambda: runtime.invoke_model(**INVOKE),
        "invoke_stream": lambda: runtime.invoke_model_with_response_stream(**INVOKE),
        "invoke_agent": lambda: agents.invoke_agent(**AGENT),
        "rag_stream": lambda: agents.retrieve_and_generate_stream(
            input={"text": "Where?"}, retrieveAndGenerateConfiguration=rag
        ),
    }


SOURCES = {
    "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/any",
    "sources": [{"sourceType": "S3", "s3Location": {"uri": "s3://labyrinth/map"}}],
}
NAMES = list(calls(None, None))
AGENTS = "bedrock-agent-runtime"


def assert_cancelled(recorder):
    assert len(recorder.ends) == len(set(recorder.ends)) == len(recorder.started)
    assert recorder.span.status.status_code.name == "ERROR"
    (event,) = [event for event in recorder.span.events if event.name == "exception"]
    assert event.attributes["exception.type"].endswith("CancelledError")
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("name", NAMES)
def test_cancelled_call_ends_its_span_as_error(recorder, name, caplog):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime, client(server, AGENTS) as agents:
                server.hang()
                with using_session("chat-42"):
                    call = calls(runtime, agents)[name]()
                await cancel_in_flight(server, call)
                assert_cancelled(recorder)
                server.release()

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        asyncio.run(main())
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("name", [it for it in NAMES if it.endswith(("stream", "agent"))])
def test_cancelled_read_of_a_stream_ends_its_span_as_error(recorder, name, caplog):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime, client(server, AGENTS) as agents:
                server.hang(after_events=1)
                read = asyncio.Event()

                async def reading():
                    response = await calls(runtime, agents)[name]()
                    stream = next(it for it in response.values() if hasattr(it, "__aiter__"))
                    async for _ in stream:
                        read.set()

                with using_session("chat-42"):
                    task = asyncio.create_task(reading())
                await read.wait()  # It waits for the next event by now.
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert_cancelled(recorder)
                server.release()
        assert {it.attributes["session.id"] for it in recorder.started} == {"chat-42"}

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        asyncio.run(main())
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("leave", ["never read", "half read", "closed", "breaks off"])
@pytest.mark.parametrize("name", [it for it in NAMES if it.endswith(("stream", "agent"))])
def test_abandoned_stream_ends_its_span_once(recorder, name, leave, caplog):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime, client(server, AGENTS) as agents:
                if leave == "breaks off":
                    server.fail(424, after_events=1)
                with using_session("chat-42"):
                    response = await calls(runtime, agents)[name]()
                key = next(key for key, it in response.items() if hasattr(it, "__aiter__"))
                stream = response.pop(key)
                with using_session("another"):
                    await abandon(stream, leave)
                    del stream
                    gc.collect()
                    assert recorder.open == []

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        asyncio.run(main())
    assert warnings_of(caplog) == []
    assert len(recorder.ends) == len(set(recorder.ends)) == len(recorder.started)
    expected = "ERROR" if leave == "breaks off" else "UNSET"
    assert recorder.span.status.status_code.name == expected
    assert {it.attributes["session.id"] for it in recorder.started} == {"chat-42"}


@pytest.mark.parametrize("model", ["anthropic.claude-cached-v1:0", "amazon.nova-cached-v1:0"])
def test_abandoned_stream_has_only_final_token_counts(recorder, model):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                request = {"modelId": model, "body": bedrock.CLAUDE_BODY}
                response = await runtime.invoke_model_with_response_stream(**request)
                assert await anext(aiter(response["body"]))
                response["body"].close()
            return server.usage.prompt

    prompt = asyncio.run(main())
    assert recorder.open == []
    known = prompt if "claude" in model else None  # Claude's first event states it.
    assert recorder.tokens()[:3] == (known, None, None)


def test_abandoned_read_is_no_error(recorder):
    async def main():
        with ProviderServer() as server:
            async with client(server) as runtime:
                server.hang(after_events=1)
                events = aiter((await runtime.converse_stream(**CONVERSE))["stream"])
                assert await anext(events)

                async def reading():
                    await anext(events)

                step = reading()
                step.send(None)  # It waits for the next event.
                step.close()
                server.release()

    asyncio.run(main())
    assert recorder.open == []
    assert recorder.span.status.status_code.name == "UNSET"
    assert not recorder.span.events


async def abandon(stream, how):
    if how == "breaks off":
        with pytest.raises(Exception, match="An error occurred"):
            [event async for event in stream]
    elif how != "never read":
        assert await anext(aiter(stream))
    if how == "closed":
        stream.close()
        stream.close()
