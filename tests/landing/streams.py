"""Streams and coroutines that are made inside a block and read, or awaited, outside it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.landing.calls import bedrock, dspy, installed, langchain, llama_index, mistralai, openai

QUESTION = "Where does the thread lead?"


class Stream(NamedTuple):
    """A stream or coroutine of a framework."""

    framework: str
    name: str
    kind: str
    make: Callable[[Any], Any]
    needs: tuple[str, ...]

    def missing(self):
        return next((module for module in self.needs if not installed(module)), None)


STREAMS: list[Stream] = []


def stream(framework, kind, *needs):
    """Register a function that makes an iterator, an asynchronous iterator or a coroutine."""

    def register(make):
        STREAMS.append(Stream(framework, make.__name__, kind, make, needs))
        return make

    return register


@stream("openai", "iterator", "openai")
def openai_chat(server):
    return openai.client(server).chat.completions.create(
        model="gpt-4o-mini", messages=openai.MESSAGES, stream=True
    )


@stream("openai", "iterator", "openai")
def openai_responses(server):
    return openai.client(server).responses.create(model="gpt-4o-mini", input=QUESTION, stream=True)


@stream("openai", "coroutine of an iterator", "openai")
def openai_chat_async(server):
    return openai.async_client(server).chat.completions.create(
        model="gpt-4o-mini", messages=openai.MESSAGES, stream=True
    )


@stream("openai", "coroutine", "openai")
def openai_chat_awaited(server):
    return openai.async_client(server).chat.completions.create(
        model="gpt-4o-mini", messages=openai.MESSAGES
    )


@stream("openai", "coroutine", "openai")
def openai_responses_awaited(server):
    return openai.async_client(server).responses.create(model="gpt-4o-mini", input=QUESTION)


@stream("openai", "coroutine", "openai")
def openai_embeddings_awaited(server):
    return openai.async_client(server).embeddings.create(
        model="text-embedding-3-small", input=["one"]
    )


@stream("mistral", "iterator", "mistralai.client")
def mistral_chat(server):
    return mistralai.client(server).chat.stream(model=mistralai.MODEL, messages=mistralai.MESSAGES)


@stream("mistral", "coroutine of an iterator", "mistralai.client")
def mistral_chat_async(server):
    return mistralai.client(server).chat.stream_async(
        model=mistralai.MODEL, messages=mistralai.MESSAGES
    )


@stream("mistral", "coroutine", "mistralai.client")
def mistral_chat_awaited(server):
    return mistralai.client(server).chat.complete_async(
        model=mistralai.MODEL, messages=mistralai.MESSAGES
    )


@stream("mistral", "iterator", "mistralai.client")
def mistral_conversation(server):
    return mistralai.client(server).beta.conversations.start_stream(**mistralai.TALK)


@stream("mistral", "coroutine of an iterator", "mistralai.client")
def mistral_conversation_async(server):
    return mistralai.client(server).beta.conversations.start_stream_async(**mistralai.TALK)


@stream("mistral", "coroutine", "mistralai.client")
def mistral_embeddings_awaited(server):
    return mistralai.client(server).embeddings.create_async(model="mistral-embed", inputs=["one"])


@stream("bedrock", "iterator", "boto3")
def bedrock_converse(server):
    return bedrock.client(server).converse_stream(
        modelId=bedrock.CLAUDE, messages=bedrock.MESSAGES
    )["stream"]


@stream("bedrock", "iterator", "boto3")
def bedrock_invoke_model(server):
    return bedrock.client(server).invoke_model_with_response_stream(
        modelId=bedrock.CLAUDE, body=bedrock.CLAUDE_BODY
    )["body"]


@stream("bedrock", "iterator", "boto3")
def bedrock_invoke_agent(server):
    return bedrock.client(server, "bedrock-agent-runtime").invoke_agent(
        agentId="AGENT12345",
        agentAliasId="ALIAS12345",
        sessionId="agent-session",
        inputText=QUESTION,
        enableTrace=True,
    )["completion"]


WHAT = {"what": "thread"}


@stream("langchain", "iterator", "langchain_openai")
def langchain_model(server):
    return langchain.model(server).stream(QUESTION)


@stream("langchain", "iterator", "langchain_openai")
def langchain_chain(server):
    return langchain.chain(server).stream(WHAT)


@stream("langchain", "iterator", "langchain_openai")
def langchain_transform(server):
    return langchain.chain(server).transform(iter([WHAT]))


@stream("langchain", "iterator", "langchain_openai")
def langchain_batch_as_completed(server):
    return langchain.chain(server).batch_as_completed([WHAT, WHAT])


@stream("langchain", "iterator", "langchain_openai")
def langchain_agent(server):
    from langchain.agents import create_agent

    agent = create_agent(langchain.model(server), tools=[langchain.weather_tool()])
    return agent.stream({"messages": [{"role": "user", "content": "The weather in Knossos?"}]})


@stream("langchain", "asynchronous iterator", "langchain_openai")
def langchain_chain_async(server):
    return langchain.chain(server).astream(WHAT)


@stream("langchain", "asynchronous iterator", "langchain_openai")
def langchain_events(server):
    return langchain.chain(server).astream_events(WHAT, version="v2")


@stream("langchain", "asynchronous iterator", "langchain_openai")
def langchain_abatch_as_completed(server):
    return langchain.chain(server).abatch_as_completed([WHAT, WHAT])


@stream("langchain", "coroutine", "langchain_openai")
def langchain_awaited(server):
    return langchain.chain(server).ainvoke(WHAT)


@stream("langchain", "coroutine", "langchain_openai")
def langchain_batch_awaited(server):
    return langchain.chain(server).abatch([WHAT, WHAT])


@stream("langchain", "iterator", "langchain_openai", "langgraph")
def langgraph_graph(server):
    return langchain.graph(server).stream(langchain.GRAPH_INPUT, langchain.THREAD)


@stream("langchain", "asynchronous iterator", "langchain_openai", "langgraph")
def langgraph_graph_async(server):
    return langchain.graph(server).astream(langchain.GRAPH_INPUT, langchain.THREAD)


@stream("langchain", "coroutine", "langchain_openai", "langgraph")
def langgraph_awaited(server):
    return langchain.graph(server).ainvoke(langchain.GRAPH_INPUT, langchain.THREAD)


@stream("llamaindex", "iterator", "llama_index.llms.openai")
def llama_index_chat(server):
    return llama_index.llm(server).stream_chat(llama_index.messages())


@stream("llamaindex", "iterator", "llama_index.llms.openai")
def llama_index_complete(server):
    return llama_index.llm(server).stream_complete(QUESTION)


@stream("llamaindex", "iterator", "llama_index.llms.openai", "llama_index.embeddings.openai")
def llama_index_query_engine(server):
    engine = llama_index.index(server).as_query_engine(llm=llama_index.llm(server), streaming=True)
    return engine.query(QUESTION).response_gen


@stream("llamaindex", "iterator", "llama_index.llms.openai")
def llama_index_chat_engine(server):
    from llama_index.core.chat_engine import SimpleChatEngine

    engine = SimpleChatEngine.from_defaults(llm=llama_index.llm(server))
    return engine.stream_chat(QUESTION).response_gen


@stream("llamaindex", "coroutine of an iterator", "llama_index.llms.openai")
def llama_index_chat_async(server):
    return llama_index.llm(server).astream_chat(llama_index.messages())


@stream("llamaindex", "coroutine", "llama_index.llms.openai")
def llama_index_awaited(server):
    return llama_index.llm(server).achat(llama_index.messages())


@stream("dspy", "iterator", "dspy")
def dspy_streamify_sync(server):
    import dspy as sdk

    return sdk.streamify(dspy.predict(server), async_streaming=False)(question="Where?")


@stream("dspy", "asynchronous iterator", "dspy")
def dspy_streamify(server):
    import dspy as sdk

    return sdk.streamify(dspy.predict(server))(question="Where?")


@stream("dspy", "coroutine", "dspy")
def dspy_awaited(server):
    return dspy.predict(server).acall(question="Where?")


@stream("dspy", "coroutine", "dspy")
def dspy_asyncify(server):
    import dspy as sdk

    return sdk.asyncify(dspy.predict(server))(question="Where?")
