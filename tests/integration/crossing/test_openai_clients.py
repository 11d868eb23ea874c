"""The HTTP calls of OpenAI's SDK: by httpx up to its version 2, by httpx2 from version 3 on."""

import asyncio

import pytest

from clew import using_session

openai = pytest.importorskip("openai")
IDS = "session.id=chat-42,user.id=ada"


@pytest.fixture
def library(instrumented):
    with openai.OpenAI(api_key="k") as client:
        names = {cls.__module__.partition(".")[0] for cls in type(client._client).__mro__}
    (library,) = names & {"httpx", "httpx2"}
    if library not in instrumented:
        pytest.skip(f"{library} is not instrumented")
    return library


def models(url):
    with openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client:
        client.models.with_raw_response.list()


def models_asynchronously(url):
    async def main():
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            await client.models.with_raw_response.list()

    asyncio.run(main())


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("call", [models, models_asynchronously])
def test_its_calls_are_spans_with_ids_and_listed_hosts_receive_them(
    call, listener, propagate_to, exporter
):
    propagate_to("*.mine.example")
    exporter.clear()
    with using_session("chat-42", user_id="ada"):
        call(listener.url("gateway.mine.example", "/v1"))
        call(listener.url("gateway.other.example", "/v1"))
    assert listener.received() == [("gateway.mine.example", IDS), ("gateway.other.example", None)]
    spans = [span.attributes for span in exporter.get_finished_spans()]
    assert [(it["session.id"], it["user.id"]) for it in spans] == [("chat-42", "ada")] * 2
