"""The status of the span of a stream: OK if read to its end, unset if abandoned, else ERROR.

The streams of Mistral, Bedrock and LlamaIndex are tested with their repairs.
"""

import asyncio
import gc

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


def test_upstream_still_sets_error_for_a_closed_langchain_stream(server):
    instrumentation = pytest.importorskip("openinference.instrumentation.langchain")
    recorder = SpanRecorder()
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    instrumentor = instrumentation.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        stream = chat_model(server).stream("Where does the thread lead?")
        assert next(stream)
        stream.close()
    finally:
        instrumentor.uninstrument()
    assert recorder.span.status.status_code.name == "ERROR"
    assert recorder.span.status.description.startswith("GeneratorExit")
