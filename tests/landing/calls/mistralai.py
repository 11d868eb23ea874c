"""Mistral's SDK, called directly."""

import asyncio
from functools import partial

import pytest

from tests.landing.calls import cell, run
from tests.landing.calls.openai import WEATHER, city_type
from tests.support.providers import ProviderServer

mistral_cell = partial(cell, "mistral", needs=("mistralai.client",))

MESSAGES = [{"role": "user", "content": "Where does the thread lead?"}]
MODEL = "mistral-small-latest"


def client(server: ProviderServer, **options):
    from mistralai.client import Mistral

    return Mistral(api_key="key", server_url=server.mistral_url, **options)


@mistral_cell("sync")
def chat(server):
    with client(server) as mistral:
        assert mistral.chat.complete(model=MODEL, messages=MESSAGES).choices


@mistral_cell("sync")
def agent(server):
    with client(server) as mistral:
        assert mistral.agents.complete(agent_id="ag-1", messages=MESSAGES).choices


@mistral_cell("async")
def chat_async(server):
    async def main():
        async with client(server) as mistral:
            calls = (mistral.chat.complete_async(model=MODEL, messages=MESSAGES) for _ in range(3))
            await asyncio.gather(*calls)

    run(main())


@mistral_cell("stream")
def chat_stream(server):
    with client(server) as mistral:
        assert len(list(mistral.chat.stream(model=MODEL, messages=MESSAGES))) > 1


@mistral_cell("async_stream")
def chat_stream_async(server):
    async def main():
        async with client(server) as mistral:
            stream = await mistral.chat.stream_async(model=MODEL, messages=MESSAGES)
            assert [event async for event in stream]

    run(main())


@mistral_cell("tools")
def chat_tools(server):
    with client(server) as mistral:
        first = mistral.chat.complete(model=MODEL, messages=MESSAGES, tools=[WEATHER])
        message = first.choices[0].message
        assert message.tool_calls
        answer = {
            "role": "tool",
            "name": "weather",
            "tool_call_id": message.tool_calls[0].id,
            "content": "sunny",
        }
        mistral.chat.complete(model=MODEL, messages=[*MESSAGES, message, answer], tools=[WEATHER])


@mistral_cell("structured")
def chat_parse(server):
    with client(server) as mistral:
        result = mistral.chat.parse(model=MODEL, messages=MESSAGES, response_format=city_type())
        assert isinstance(result.choices[0].message.parsed, city_type())


@mistral_cell("error_4xx")
def bad_request(server):
    from mistralai.client.errors import SDKError

    server.fail(400)
    with client(server) as mistral, pytest.raises(SDKError):
        mistral.chat.complete(model=MODEL, messages=MESSAGES)


@mistral_cell("error_5xx")
def server_error(server):
    from mistralai.client.errors import SDKError

    server.fail(500)
    with client(server) as mistral, pytest.raises(SDKError):
        mistral.chat.complete(model=MODEL, messages=MESSAGES)


@mistral_cell("timeout")
def timeout(server):
    server.hang()
    with (
        client(server, timeout_ms=200) as mistral,
        pytest.raises(Exception, match=r"(?i)timed? ?out"),
    ):
        mistral.chat.complete(model=MODEL, messages=MESSAGES)
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@mistral_cell("retry")
def retry(server):
    from mistralai.client.utils import BackoffStrategy, RetryConfig

    server.fail(500, times=1)
    backoff = BackoffStrategy(
        initial_interval=1, max_interval=10, exponent=1.0, max_elapsed_time=10_000
    )
    retries = RetryConfig(strategy="backoff", backoff=backoff, retry_connection_errors=True)
    with client(server, retry_config=retries) as mistral:
        assert mistral.chat.complete(model=MODEL, messages=MESSAGES).choices


CODE = {"model": "codestral-latest", "prompt": "def labyrinth():", "suffix": "return exit"}
SOUND = {"model": "voxtral-mini-latest", "file": {"content": b"RIFF", "file_name": "a.wav"}}
DOCUMENT = {"type": "document_url", "document_url": "https://example.com/map.pdf"}
OCR = {"model": "mistral-ocr-latest", "document": DOCUMENT}
TALK = {"model": MODEL, "inputs": "Where does the thread lead?"}
JUDGE = "mistral-moderation-latest"


@mistral_cell("embeddings")
def embeddings(server):
    with client(server) as mistral:
        assert mistral.embeddings.create(model="mistral-embed", inputs=["one", "two"]).data


@mistral_cell("embeddings")
def embeddings_async(server):
    async def main():
        async with client(server) as mistral:
            found = await mistral.embeddings.create_async(model="mistral-embed", inputs=["one"])
            assert found.data

    run(main())


@mistral_cell("sync")
def every_other_endpoint(server):
    with client(server) as mistral:
        assert mistral.fim.complete(**CODE).choices
        assert mistral.ocr.process(**OCR).pages
        assert mistral.audio.transcriptions.complete(**SOUND).text
        assert mistral.classifiers.moderate(model=JUDGE, inputs=["one"]).results
        assert mistral.classifiers.moderate_chat(model=JUDGE, inputs=MESSAGES).results
        assert mistral.classifiers.classify(model="mine", inputs="one").results
        assert mistral.classifiers.classify_chat(model="mine", input={"messages": MESSAGES}).results


@mistral_cell("sync")
def conversation(server):
    with client(server) as mistral:
        talk = mistral.beta.conversations
        begun = talk.start(**TALK)
        again = talk.append(conversation_id=begun.conversation_id, inputs="And then?")
        assert talk.restart(
            conversation_id=begun.conversation_id,
            inputs="And else?",
            from_entry_id=again.outputs[0].id,
        ).outputs


@mistral_cell("async")
def every_other_endpoint_async(server):
    async def main():
        async with client(server) as mistral:
            talk, judge = mistral.beta.conversations, mistral.classifiers
            found = await asyncio.gather(
                mistral.fim.complete_async(**CODE),
                mistral.ocr.process_async(**OCR),
                mistral.audio.transcriptions.complete_async(**SOUND),
                judge.moderate_async(model=JUDGE, inputs=["one"]),
                judge.moderate_chat_async(model=JUDGE, inputs=MESSAGES),
                judge.classify_async(model="mine", inputs="one"),
                judge.classify_chat_async(model="mine", input={"messages": MESSAGES}),
                talk.start_async(**TALK),
                talk.append_async(conversation_id="conv_1", inputs="And then?"),
                talk.restart_async(conversation_id="conv_1", inputs="Or?", from_entry_id="msg_1"),
            )
            assert all(found)

    run(main())


@mistral_cell("stream")
def every_other_stream(server):
    with client(server) as mistral:
        talk = mistral.beta.conversations
        for stream in (
            mistral.fim.stream(**CODE),
            mistral.audio.transcriptions.stream(**SOUND),
            talk.start_stream(**TALK),
            talk.append_stream(conversation_id="conv_1", inputs="And then?"),
            talk.restart_stream(conversation_id="conv_1", inputs="Or?", from_entry_id="msg_1"),
        ):
            with stream as events:
                assert len(list(events)) > 1


@mistral_cell("async_stream")
def every_other_stream_async(server):
    async def main():
        async with client(server) as mistral:
            talk = mistral.beta.conversations
            for call in (
                mistral.fim.stream_async(**CODE),
                mistral.audio.transcriptions.stream_async(**SOUND),
                talk.start_stream_async(**TALK),
                talk.append_stream_async(conversation_id="conv_1", inputs="And then?"),
                talk.restart_stream_async(
                    conversation_id="conv_1", inputs="Or?", from_entry_id="msg_1"
                ),
            ):
                async with await call as events:
                    assert len([event async for event in events]) > 1

    run(main())


@mistral_cell("async_stream")
def chat_stream_as_a_context_manager(server):
    async def main():
        async with client(server) as mistral:
            for call in (
                mistral.chat.stream_async(model=MODEL, messages=MESSAGES),
                mistral.agents.stream_async(agent_id="ag-1", messages=MESSAGES),
            ):
                async with await call as events:
                    assert [event async for event in events]

    run(main())


@mistral_cell("error_4xx")
def bad_request_to_another_endpoint(server):
    from mistralai.client.errors import SDKError

    server.fail(400)
    with client(server) as mistral, pytest.raises(SDKError):
        mistral.embeddings.create(model="mistral-embed", inputs="one")
