"""LangChain and LangGraph, over OpenAI, Bedrock and Mistral."""

import asyncio
from functools import partial

import pytest

from tests.landing.calls import cell, run
from tests.landing.calls.openai import city_type
from tests.support.providers import ProviderServer

over_openai = partial(cell, "langchain", needs=("langchain_openai",))
over_bedrock = partial(cell, "langchain", needs=("langchain_aws",))
over_mistral = partial(cell, "langchain", needs=("langchain_mistralai",))
over_langgraph = partial(cell, "langchain", needs=("langchain_openai", "langgraph"))


def model(server: ProviderServer, **options):
    from langchain_openai import ChatOpenAI

    defaults = {"model": "gpt-4o-mini", "max_retries": 0}
    return ChatOpenAI(base_url=server.openai_url, api_key="key", **defaults | options)


def chain(server: ProviderServer):
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    prompt = ChatPromptTemplate.from_messages([("human", "Where does the {what} lead?")])
    return prompt | model(server) | StrOutputParser()


def weather_tool():
    from langchain_core.tools import tool

    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    return weather


@over_openai("sync")
def invoke(server):
    assert chain(server).invoke({"what": "thread"})


@over_openai("sync")
def batch(server):
    assert len(chain(server).batch([{"what": "thread"}, {"what": "maze"}])) == 2


@over_openai("async")
def ainvoke(server):
    async def main():
        line = chain(server)
        await asyncio.gather(*(line.ainvoke({"what": "thread"}) for _ in range(3)))

    run(main())


@over_openai("stream")
def stream(server):
    assert len(list(chain(server).stream({"what": "thread"}))) > 1


@over_openai("async_stream")
def astream(server):
    async def main():
        assert [part async for part in chain(server).astream({"what": "thread"})]

    run(main())


@over_openai("tools")
def agent(server):
    from langchain.agents import create_agent

    answer = create_agent(model(server), tools=[weather_tool()]).invoke(
        {"messages": [{"role": "user", "content": "The weather in Knossos?"}]}
    )
    assert len(answer["messages"]) == 4


@over_openai("embeddings")
def embeddings(server):
    from langchain_openai import OpenAIEmbeddings

    embedder = OpenAIEmbeddings(
        base_url=server.openai_url, api_key="key", check_embedding_ctx_length=False
    )
    assert len(embedder.embed_documents(["one", "two"])) == 2


@over_openai("structured")
def structured(server):
    result = model(server).with_structured_output(city_type()).invoke("A city")
    assert isinstance(result, city_type())


@over_openai("error_4xx")
def bad_request(server):
    import openai

    server.fail(400)
    with pytest.raises(openai.BadRequestError):
        chain(server).invoke({"what": "thread"})


@over_openai("error_5xx")
def server_error(server):
    import openai

    server.fail(500)
    with pytest.raises(openai.InternalServerError):
        chain(server).invoke({"what": "thread"})


@over_openai("timeout")
def timeout(server):
    import openai

    server.hang()
    with pytest.raises(openai.APITimeoutError):
        model(server, timeout=0.2).invoke("Where?")
    assert server.wait_for(1)  # Under load it may arrive after its client has gone.
    server.release()


@over_openai("retry")
def retry(server):
    server.fail(429, times=1)
    assert model(server, max_retries=1).invoke("Where?").content


@over_bedrock("sync")
def bedrock_converse(server):
    assert _bedrock(server).invoke("Where does the thread lead?").content


@over_bedrock("stream")
def bedrock_stream(server):
    assert list(_bedrock(server).stream("Where does the thread lead?"))


def _bedrock(server: ProviderServer):
    from langchain_aws import ChatBedrockConverse

    return ChatBedrockConverse(
        model="anthropic.claude-3-5-haiku-20241022-v1:0",
        region_name="us-east-1",
        endpoint_url=server.bedrock_url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


@over_mistral("sync")
def mistral_invoke(server):
    from langchain_mistralai import ChatMistralAI

    chat = ChatMistralAI(model="mistral-small-latest", api_key="key", endpoint=server.openai_url)
    assert chat.invoke("Where does the thread lead?").content


def graph(server: ProviderServer):
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, MessagesState, StateGraph

    chat = model(server)

    def answer(state: MessagesState):
        return {"messages": [chat.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=InMemorySaver())


GRAPH_INPUT = {"messages": [{"role": "user", "content": "Where?"}]}
THREAD = {"configurable": {"thread_id": "langgraphs-own-thread"}}


@over_langgraph("sync")
def graph_with_a_thread_of_its_own(server):
    compiled = graph(server)
    compiled.invoke(GRAPH_INPUT, THREAD)
    assert len(compiled.invoke(GRAPH_INPUT, THREAD)["messages"]) == 4


@over_langgraph("async")
def graph_async(server):
    async def main():
        compiled = graph(server)
        await asyncio.gather(*(compiled.ainvoke(GRAPH_INPUT, THREAD) for _ in range(3)))

    run(main())


@over_langgraph("stream")
def graph_stream(server):
    assert list(graph(server).stream(GRAPH_INPUT, THREAD, stream_mode="messages"))


@over_langgraph("async_stream")
def graph_stream_async(server):
    async def main():
        compiled = graph(server)
        assert [part async for part in compiled.astream(GRAPH_INPUT, THREAD)]

    run(main())


@over_openai("fan_out")
def runnable_parallel(server):
    from langchain_core.runnables import RunnableParallel

    line = chain(server)
    assert set(RunnableParallel(a=line, b=line).invoke({"what": "thread"})) == {"a", "b"}


@over_openai("fan_out")
def batch_in_threads(server):
    inputs = [{"what": "thread"}] * 4
    assert len(chain(server).batch(inputs, {"max_concurrency": 2})) == 4


@over_langgraph("fan_out")
def graph_fan_out(server):
    from langgraph.graph import END, START, MessagesState, StateGraph

    chat = model(server)

    def ask(state: MessagesState):
        return {"messages": [chat.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    for name in ("left", "right"):
        builder.add_node(name, ask)
        builder.add_edge(START, name)
        builder.add_edge(name, END)
    assert len(builder.compile().invoke(GRAPH_INPUT)["messages"]) == 3
