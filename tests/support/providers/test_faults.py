"""The faults that a test can request, with real SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from typing import Any

import pytest

from tests.support.providers import ProviderServer, Usage, clients

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "A short answer about What is the capital of France."
BLOCKS = [{"role": "user", "content": [{"text": "What is the capital of France?"}]}]
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"


def test_an_error_is_retried(server: ProviderServer, openai_client: Any) -> None:
    server.fail(429, times=2, path="/chat/completions")
    openai_client.models.list()
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    assert [one.status for one in server.exchanges] == [200, 429, 429, 200]


def test_errors_are_the_providers_own(server: ProviderServer, openai_client: Any) -> None:
    openai = pytest.importorskip("openai")
    server.fail(401)
    with pytest.raises(openai.AuthenticationError) as refused:
        openai_client.models.list()
    assert refused.value.code == "invalid_api_key"


def test_mistral_errors(server: ProviderServer, mistral: Any) -> None:
    errors = pytest.importorskip("mistralai.client.errors")
    for status in (401, 429, 500):
        server.fail(status)
        with pytest.raises(errors.SDKError) as failed:
            mistral.chat.complete(model="mistral-small-latest", messages=QUESTION)
        assert failed.value.status_code == status
    server.fail(422)
    with pytest.raises(errors.HTTPValidationError):
        mistral.chat.complete(model="mistral-small-latest", messages=QUESTION)


def test_bedrock_errors(server: ProviderServer, bedrock: Any) -> None:
    for status, name in ((400, "ValidationException"), (429, "ThrottlingException")):
        server.fail(status)
        with pytest.raises(getattr(bedrock.exceptions, name)):
            bedrock.converse(modelId=CLAUDE, messages=BLOCKS)


def test_a_stream_breaks_off(server: ProviderServer, openai_client: Any) -> None:
    server.fail(500, after_events=3)
    create = openai_client.chat.completions.create
    received: list[Any] = []
    with (
        create(model="gpt-4o-mini", messages=QUESTION, stream=True) as stream,
        pytest.raises(Exception, match="peer closed connection"),
    ):
        received.extend(stream)
    assert len(received) == 3


def test_an_event_stream_reports_its_failure(server: ProviderServer, bedrock: Any) -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    server.fail(429, after_events=2)
    stream = bedrock.converse_stream(modelId=CLAUDE, messages=BLOCKS)["stream"]
    received: list[Any] = []
    with (
        contextlib.closing(stream),
        pytest.raises(exceptions.EventStreamError, match="throttlingException"),
    ):
        received.extend(stream)
    assert len(received) == 2
    assert server.usage == Usage()


def test_a_timeout(server: ProviderServer, openai_client: Any) -> None:
    openai = pytest.importorskip("openai")
    server.hang()
    impatient = openai_client.with_options(timeout=0.1, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    server.release()
    assert [one.status for one in server.exchanges] == [0]
    assert server.usage == Usage()


def test_a_released_call_is_answered(server: ProviderServer, openai_client: Any) -> None:
    server.hang()
    found = []
    create = openai_client.chat.completions.create
    caller = threading.Thread(
        target=lambda: found.append(create(model="gpt-4o-mini", messages=QUESTION))
    )
    caller.start()
    assert server.wait_for(1)
    server.release()
    caller.join(10)
    assert found[0].choices[0].message.content == ANSWER


def test_clear_forgets(server: ProviderServer, openai_client: Any) -> None:
    server.fail(500, times=9)
    server.clear()
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    assert server.usage.total > 0
    server.clear()
    assert (server.exchanges, server.usage) == ([], Usage())


def test_a_cancelled_call_is_never_answered(server: ProviderServer) -> None:
    openai = pytest.importorskip("openai")

    async def cancel() -> None:
        async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="key") as client:
            create = client.chat.completions.create
            task = asyncio.create_task(create(model="gpt-4o-mini", messages=QUESTION))
            assert await asyncio.to_thread(server.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    server.hang()
    asyncio.run(cancel())
    server.release()
    assert [one.status for one in server.exchanges] == [0]


def test_closing_ends_a_hanging_call() -> None:
    openai = pytest.importorskip("openai")
    with ProviderServer() as server, clients.openai_client(server) as client:
        server.hang()
        errors: list[Exception] = []

        def ask() -> None:
            try:
                client.with_options(max_retries=0).models.list()
            except openai.APIConnectionError as error:
                errors.append(error)

        caller = threading.Thread(target=ask)
        caller.start()
        assert server.wait_for(1)
        server.close()
        caller.join(10)
    assert len(errors) == 1


def test_a_wire_that_crashes_fails_the_test() -> None:
    def ask(server: ProviderServer) -> int:
        host = server.url.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(host, timeout=10)) as connection:
            body = b'{"model": "gpt-4o-mini", "messages": "no list"}'
            connection.request("POST", "/v1/chat/completions", body)
            return connection.getresponse().status

    with pytest.raises(RuntimeError, match="itself failed"), ProviderServer() as server:
        assert ask(server) == 500
