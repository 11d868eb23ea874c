"""The status of the span of a stream: OK if read to its end, unset if abandoned, else ERROR.

The streams of Mistral, Bedrock and LlamaIndex are tested with their repairs.
"""

import asyncio
import gc
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.integration.contract.defects import SpanRecorder

pytest.importorskip("openai")

QUESTION = [{"role": "user", "content": "Where does the thread lead?"}]


def openai_of(server, kind):
    import openai

    return getattr(openai, kind)(api_key="key", base_url=server.openai_url, max_retries=0)


def chat_model(server):
    models = pytest.importorskip("langchain_openai")
    return models.ChatOpenAI(
        model="gpt-4o-mini", api_key="key", base_url=server.openai_url, max_retries=0
    )


def chain(server):
    model = chat_model(server)
    from langchain_core.prompts import ChatPromptTemplate

    return ChatPromptTemplate.from_template("Where does the {thing} lead?") | model


STREAMS = {
    "openai chat": lambda it: openai_of(it, "OpenAI").chat.completions.create(
        model="gpt-4o-mini", messages=QUESTION, stream=True
    ),
    "openai responses": lambda it: openai_of(it, "OpenAI").responses.create(
        model="gpt-4o-mini", input="Where?", stream=True
    ),
    "langchain model": lambda it: chat_model(it).stream("Where does the thread lead?"),
    "langchain chain": lambda it: chain(it).stream({"thing": "thread"}),
}
ASYNC_STREAMS = {
    "openai chat": lambda it: openai_of(it, "AsyncOpenAI").chat.completions.create(
        model="gpt-4o-mini", messages=QUESTION, stream=True
    ),
    "openai responses": lambda it: openai_of(it, "AsyncOpenAI").responses.create(
        model="gpt-4o-mini", input="Where?", stream=True
    ),
    "langchain model": lambda it: chat_model(it).astream("Where does the thread lead?"),
    "langchain chain": lambda it: chain(it).astream({"thing": "thread"}),
}
EXPECTED = {"read": "OK", "left": "UNSET", "closed": "UNSET", "broken": "ERROR"}


def assert_ended(spans, expected):
    gc.collect()
    assert spans.started
    assert spans.open == []
    parts = {span.name: span.status.status_code.name for span in spans.started}
    parts.pop("ChatPromptTemplate", None)  # It was done before.
    assert set(parts.values()) == {expected}, parts
    raised = [it for span in spans.started for it in span.events if it.name == "exception"]
    assert bool(raised) is (expected == "ERROR")


@pytest.mark.parametrize("ending", EXPECTED)
@pytest.mark.parametrize("name", STREAMS)
def test_status_of_a_stream(name, ending, server, spans):
    if ending == "broken":
        server.fail(500, after_events=2)
    stream = STREAMS[name](server)
    if ending == "broken":
        with pytest.raises(Exception, match=r"."):
            list(stream)
    elif ending == "read":
        assert list(stream)
    else:
        assert next(stream)
        if ending == "closed":
            stream.close()
    del stream
    if name == "langchain chain" and ending in {"left", "closed"}:
        # LangChain itself says of such a chain that it has come to its end.
        whole = spans.started.pop(0)
        assert whole.status.status_code.name == "OK"
        assert whole.end_time
    assert_ended(spans, EXPECTED[ending])


@pytest.mark.parametrize("ending", EXPECTED)
@pytest.mark.parametrize("name", ASYNC_STREAMS)
def test_status_of_an_async_stream(name, ending, server, spans):
    async def main():
        if ending == "broken":
            server.fail(500, after_events=2)
        stream = ASYNC_STREAMS[name](server)
        if "openai" in name:
            stream = await stream
        if ending == "broken":
            with pytest.raises(Exception, match=r"."):
                [event async for event in stream]
        elif ending == "read":
            assert [event async for event in stream]
        else:
            assert await anext(stream)
            if ending == "closed":
                await stream.aclose()
        del stream
        await asyncio.sleep(0)  # The loop closes forgotten generators in tasks of their own.
        while closing := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*closing)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert_ended(spans, EXPECTED[ending])


@contextmanager
def upstream_alone():
    """A block in which LangChain's instrumentor is active without clew; it has the spans."""
    instrumentation = pytest.importorskip("openinference.instrumentation.langchain")
    recorder = SpanRecorder()
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    instrumentor = instrumentation.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield recorder
    finally:
        instrumentor.uninstrument()


def test_upstream_still_sets_error_for_a_closed_langchain_stream(server):
    with upstream_alone() as recorder:
        stream = chat_model(server).stream("Where does the thread lead?")
        assert next(stream)
        stream.close()
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.status.description.startswith("GeneratorExit")


# --- LangChain's events, whose run works in a task of its own ---


def parsed_chain(server):
    from langchain_core.output_parsers import StrOutputParser

    return chain(server) | StrOutputParser()


async def read_events_to_the_first_word(server):
    """Read until the model waits for the provider, and leave."""
    chain = parsed_chain(server)
    server.hang(after_events=4)
    waiting = asyncio.Event()

    async def read():
        async for event in chain.astream_events({"thing": "thread"}, version="v2"):
            if event["event"] == "on_parser_stream":
                waiting.set()
                break

    reading = asyncio.create_task(read())
    await asyncio.wait_for(waiting.wait(), 30)
    await asyncio.wait([reading])
    del reading
    await finish_other_tasks()
    server.release()


async def finish_other_tasks():
    await asyncio.sleep(0)  # The loop closes forgotten generators in tasks of their own.
    gc.collect()
    while closing := asyncio.all_tasks() - {asyncio.current_task()}:
        _, waiting = await asyncio.wait(closing, timeout=20)
        assert not waiting, waiting
        await asyncio.sleep(0)


def test_status_of_events_that_are_left(server, spans):
    chat_model(server)
    asyncio.run(read_events_to_the_first_word(server))
    assert spans.open == []
    found = {span.name: span.status.status_code.name for span in spans.started}
    for name in ("RunnableSequence", "ChatOpenAI", "StrOutputParser"):
        assert found[name] == "UNSET", found
    assert [it for it in spans.span.events if it.name == "exception"] == []


async def cancel_at_the_start(server):
    """Cancel a run while a callback is told that it starts."""
    from langchain_core.callbacks import AsyncCallbackHandler

    told = asyncio.Event()

    class Slow(AsyncCallbackHandler):
        async def on_chain_start(self, *_args, **named):
            if named.get("name") == "StrOutputParser":
                told.set()
                await asyncio.Event().wait()

    config = {"callbacks": [Slow()]}
    running = asyncio.create_task(parsed_chain(server).ainvoke({"thing": "thread"}, config))
    await asyncio.wait_for(told.wait(), 30)
    running.cancel()
    await asyncio.wait([running])


def test_run_that_is_cancelled_at_its_start_has_an_end(server, spans):
    chat_model(server)
    asyncio.run(cancel_at_the_start(server))
    assert spans.open == []
    found = {span.name: span.status.status_code.name for span in spans.started}
    assert found["StrOutputParser"] == found["RunnableSequence"] == "ERROR"


def test_upstream_still_takes_left_events_for_errors(server):
    with upstream_alone() as recorder:
        asyncio.run(read_events_to_the_first_word(server))
        assert recorder.span.status.status_code.name == "ERROR"
