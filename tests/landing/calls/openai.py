"""OpenAI's SDK, called directly."""

import asyncio
from functools import cache, partial

import pytest

from tests.landing.calls import cell, run
from tests.support.providers import ProviderServer

openai_cell = partial(cell, "openai", needs=("openai",))

MESSAGES = [{"role": "user", "content": "Where does the thread lead?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@cache
def city_type():
    """Return the model of a structured answer; Bedrock alone comes without pydantic."""
    from pydantic import create_model

    return create_model("City", name=str, population=int)


def client(server: ProviderServer, **options):
    import openai

    return openai.OpenAI(base_url=server.openai_url, api_key="key", **{"max_retries": 0} | options)


def async_client(server: ProviderServer, **options):
    import openai

    return openai.AsyncOpenAI(
        base_url=server.openai_url, api_key="key", **{"max_retries": 0} | options
    )


@openai_cell("sync")
def chat(server):
    with client(server) as openai:
        openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


@openai_cell("sync")
def chat_raw_response(server):
    with client(server) as openai:
        raw = openai.chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=MESSAGES
        )
        assert raw.parse().choices


@openai_cell("sync")
def chat_streaming_response(server):
    with (
        client(server) as openai,
        openai.chat.completions.with_streaming_response.create(
            model="gpt-4o-mini", messages=MESSAGES
        ) as response,
    ):
        assert not response.http_response.is_closed
        assert response.parse().choices


@openai_cell("sync")
def completions(server):
    with client(server) as openai:
        openai.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon a time")


@openai_cell("sync")
def responses(server):
    with client(server) as openai:
        openai.responses.create(model="gpt-4o-mini", input="Where does the thread lead?")


@openai_cell("async")
def chat_async(server):
    async def main():
        async with async_client(server) as openai:
            calls = (
                openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
                for _ in range(3)
            )
            await asyncio.gather(*calls)

    run(main())


@openai_cell("async")
def responses_async(server):
    async def main():
        async with async_client(server) as openai:
            await openai.responses.create(model="gpt-4o-mini", input="Hello")

    run(main())


@openai_cell("async")
def chat_streaming_response_async(server):
    async def main():
        async with (
            async_client(server) as openai,
            openai.chat.completions.with_streaming_response.create(
                model="gpt-4o-mini", messages=MESSAGES
            ) as response,
        ):
            assert (await response.parse()).choices

    run(main())


@openai_cell("stream")
def chat_stream(server):
    with client(server) as openai:
        stream = openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        assert len(list(stream)) > 1


@openai_cell("stream")
def chat_stream_events(server):
    with (
        client(server) as openai,
        openai.chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES) as stream,
    ):
        assert [event.type for event in stream]


@openai_cell("stream")
def chat_streaming_response_lines(server):
    with (
        client(server) as openai,
        openai.chat.completions.with_streaming_response.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True
        ) as response,
    ):
        assert "data: [DONE]" in [*response.iter_lines()]


@openai_cell("stream")
def responses_stream(server):
    with client(server) as openai:
        stream = openai.responses.create(model="gpt-4o-mini", input="Hello", stream=True)
        assert [event.type for event in stream][-1] == "response.completed"


@openai_cell("stream")
def responses_stream_cut(server):
    with client(server) as openai:
        stream = openai.responses.create(
            model="gpt-4o-mini", input="Hello", max_output_tokens=2, stream=True
        )
        assert [event.type for event in stream][-1] == "response.incomplete"


@openai_cell("async_stream")
def chat_stream_async(server):
    async def main():
        async with async_client(server) as openai:
            stream = await openai.chat.completions.create(
                model="gpt-4o-mini", messages=MESSAGES, stream=True
            )
            assert [chunk async for chunk in stream]

    run(main())


@openai_cell("async_stream")
def responses_streaming_response_async(server):
    async def main():
        async with (
            async_client(server) as openai,
            openai.responses.with_streaming_response.create(
                model="gpt-4o-mini", input="Hello", stream=True
            ) as response,
        ):
            assert [event.type async for event in await response.parse()]

    run(main())


@openai_cell("tools")
def chat_tools(server):
    with client(server) as openai:
        first = openai.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, tools=[WEATHER]
        )
        message = first.choices[0].message
        assert message.tool_calls
        answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
        openai.chat.completions.create(
            model="gpt-4o-mini", messages=[*MESSAGES, message, answer], tools=[WEATHER]
        )


@openai_cell("embeddings")
def embeddings(server):
    with client(server) as openai:
        result = openai.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
        assert len(result.data) == 2


@openai_cell("structured")
def chat_parse(server):
    with client(server) as openai:
        result = openai.chat.completions.parse(
            model="gpt-4o-mini", messages=MESSAGES, response_format=city_type()
        )
        assert isinstance(result.choices[0].message.parsed, city_type())


@openai_cell("structured")
def responses_parse(server):
    with client(server) as openai:
        result = openai.responses.parse(
            model="gpt-4o-mini", input="A city", text_format=city_type()
        )
        assert isinstance(result.output_parsed, city_type())


@openai_cell("error_4xx")
def bad_request(server):
    import openai as sdk

    server.fail(400)
    with client(server) as openai, pytest.raises(sdk.BadRequestError):
        openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


@openai_cell("error_5xx")
def server_error(server):
    import openai as sdk

    server.fail(500)
    with client(server) as openai, pytest.raises(sdk.InternalServerError):
        openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


@openai_cell("error_5xx")
def stream_breaks_off(server):
    server.fail(500, after_events=1)
    with client(server) as openai:
        stream = openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"."):
            list(stream)


@openai_cell("timeout")
def timeout(server):
    import openai as sdk

    server.hang()
    with client(server, timeout=0.2) as openai, pytest.raises(sdk.APITimeoutError):
        openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@openai_cell("retry")
def retry(server):
    server.fail(429, times=2)
    with client(server, max_retries=2) as openai:
        assert openai.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES).choices
