"""LlamaIndex, over OpenAI, Bedrock and Mistral."""

import asyncio
from functools import partial

import pytest

from tests.landing.calls import cell, run
from tests.landing.calls.openai import city_type
from tests.support.providers import ProviderServer

over_openai = partial(cell, "llamaindex", needs=("llama_index.llms.openai",))
over_embeddings = partial(
    cell, "llamaindex", needs=("llama_index.llms.openai", "llama_index.embeddings.openai")
)
over_bedrock = partial(cell, "llamaindex", needs=("llama_index.llms.bedrock_converse",))
over_mistral = partial(cell, "llamaindex", needs=("llama_index.llms.mistralai",))


def llm(server: ProviderServer, **options):
    from llama_index.llms.openai import OpenAI

    defaults = {"model": "gpt-4o-mini", "max_retries": 0}
    return OpenAI(api_base=server.openai_url, api_key="key", **defaults | options)


def messages():
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role="user", content="Where does the thread lead?")]


def index(server: ProviderServer):
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.embeddings.openai import OpenAIEmbedding

    embedder = OpenAIEmbedding(api_base=server.openai_url, api_key="key")
    documents = [Document(text="The thread leads out."), Document(text="The maze leads in.")]
    return VectorStoreIndex.from_documents(documents, embed_model=embedder)


@over_openai("sync")
def chat(server):
    assert llm(server).chat(messages()).message.content


@over_openai("sync")
def complete(server):
    assert llm(server).complete("Where?").text


@over_openai("async")
def achat(server):
    async def main():
        model = llm(server)
        await asyncio.gather(*(model.achat(messages()) for _ in range(3)))

    run(main())


@over_openai("stream")
def stream_chat(server):
    assert len(list(llm(server).stream_chat(messages()))) > 1


@over_openai("stream")
def stream_never_read(server):
    assert llm(server).stream_chat(messages())


@over_openai("async_stream")
def astream_chat(server):
    async def main():
        stream = await llm(server).astream_chat(messages())
        assert [part async for part in stream]

    run(main())


@over_openai("tools")
def function_agent(server):
    from llama_index.core.agent.workflow import FunctionAgent

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    async def main():
        agent = FunctionAgent(tools=[weather], llm=llm(server))
        assert str(await agent.run("The weather in Knossos?"))

    run(main())


@over_embeddings("embeddings")
def query_engine(server):
    assert str(index(server).as_query_engine(llm=llm(server)).query("Where?"))


@over_embeddings("stream")
def query_engine_stream(server):
    response = index(server).as_query_engine(llm=llm(server), streaming=True).query("Where?")
    assert list(response.response_gen)


@over_embeddings("stream")
def chat_engine_stream(server):
    engine = index(server).as_chat_engine("context", llm=llm(server))
    assert list(engine.stream_chat("Where?").response_gen)


@over_embeddings("async_stream")
def chat_engine_astream(server):
    async def main():
        engine = index(server).as_chat_engine("context", llm=llm(server))
        response = await engine.astream_chat("Where?")
        assert [part async for part in response.async_response_gen()]

    run(main())


@over_openai("structured")
def structured(server):
    result = llm(server).as_structured_llm(city_type()).complete("A city")
    assert isinstance(result.raw, city_type())


@over_openai("error_4xx")
def bad_request(server):
    import openai

    server.fail(400)
    with pytest.raises(openai.BadRequestError):
        llm(server).chat(messages())


@over_openai("error_4xx")
def unknown_model(server):
    with pytest.raises(ValueError, match="Unknown model"):
        llm(server, model="unheard-of").chat(messages())


@over_openai("error_5xx")
def server_error(server):
    import openai

    server.fail(500)
    with pytest.raises(openai.InternalServerError):
        llm(server).chat(messages())


@over_openai("timeout")
def timeout(server):
    import openai

    server.hang()
    with pytest.raises(openai.APITimeoutError):
        llm(server, timeout=0.2).chat(messages())
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@over_openai("retry")
def retry(server):
    server.fail(429, times=1)
    assert llm(server, max_retries=2).chat(messages()).message.content


@over_bedrock("sync")
def bedrock_chat(server):
    from llama_index.llms.bedrock_converse import BedrockConverse

    model = BedrockConverse(
        model="anthropic.claude-3-5-haiku-20241022-v1:0",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        additional_kwargs={},
        endpoint_url=server.bedrock_url,
    )
    assert model.chat(messages()).message.content


@over_mistral("sync")
def mistral_chat(server):
    from llama_index.llms.mistralai import MistralAI

    model = MistralAI(api_key="key", endpoint=server.mistral_url, model="mistral-small-latest")
    assert model.chat(messages()).message.content


@over_openai("fan_out")
def workflow_with_workers(server):
    from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

    model = llm(server)

    class Question(Event):
        number: int

    class Answer(Event):
        text: str

    class FanOut(Workflow):
        @step
        async def begin(self, ctx: Context, _begin: StartEvent) -> Question | None:
            for number in range(4):
                ctx.send_event(Question(number=number))

        @step(num_workers=4)
        async def ask(self, _question: Question) -> Answer:
            return Answer(text=(await model.achat(messages())).message.content)

        @step
        async def end(self, ctx: Context, answer: Answer) -> StopEvent | None:
            answers = ctx.collect_events(answer, [Answer] * 4)
            return None if answers is None else StopEvent(result=len(answers))

    async def main():
        assert await FanOut(timeout=60).run() == 4

    run(main())
