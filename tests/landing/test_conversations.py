"""The framework's own conversation id is the session where the application names none."""

import asyncio

import pytest
from opentelemetry import trace

from clew import using_session, using_user
from tests.landing.calls import bedrock, installed, langchain, llama_index, mistralai, openai, run
from tests.landing.streams import QUESTION
from tests.landing.table import of_an_instrumentor

OWN = "the-frameworks-own"
THREAD = {"configurable": {"thread_id": OWN}}


def langgraph_invoke(server):
    langchain.graph(server).invoke(langchain.GRAPH_INPUT, THREAD)


def langgraph_stream(server):
    list(langchain.graph(server).stream(langchain.GRAPH_INPUT, config=THREAD))


def langgraph_ainvoke(server):
    run(langchain.graph(server).ainvoke(langchain.GRAPH_INPUT, THREAD))


def langgraph_astream(server):
    async def main():
        async for _ in langchain.graph(server).astream(langchain.GRAPH_INPUT, THREAD):
            await asyncio.sleep(0)

    run(main())


def langchain_metadata_session_id(server):
    langchain.chain(server).invoke({"what": "thread"}, {"metadata": {"session_id": OWN}})


def langchain_metadata_conversation_id(server):
    langchain.chain(server).invoke({"what": "thread"}, {"metadata": {"conversation_id": OWN}})


def langchain_bound_config(server):
    bound = langchain.chain(server).with_config({"metadata": {"session_id": OWN}})
    bound.invoke({"what": "thread"})


def openai_conversation(server):
    with openai.client(server) as client:
        client.responses.create(model="gpt-4o-mini", input=QUESTION, conversation=OWN)


def openai_conversation_object(server):
    with openai.client(server) as client:
        client.responses.create(model="gpt-4o-mini", input=QUESTION, conversation={"id": OWN})


def openai_conversation_async(server):
    async def main():
        async with openai.async_client(server) as client:
            await client.responses.create(model="gpt-4o-mini", input=QUESTION, conversation=OWN)

    run(main())


def bedrock_agent(server):
    response = bedrock.client(server, "bedrock-agent-runtime").invoke_agent(
        agentId="AGENT12345",
        agentAliasId="ALIAS12345",
        sessionId=OWN,
        inputText=QUESTION,
        enableTrace=True,
    )
    assert list(response["completion"])


def llama_index_agent(server):
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.memory import Memory

    async def main():
        agent = FunctionAgent(tools=[lambda city: city], llm=llama_index.llm(server))
        await agent.run("Where?", memory=Memory.from_defaults(session_id=OWN))

    run(main())


def llama_index_chat_engine(server):
    from llama_index.core.chat_engine import SimpleChatEngine
    from llama_index.core.memory import Memory

    memory = Memory.from_defaults(session_id=OWN)
    SimpleChatEngine.from_defaults(llm=llama_index.llm(server), memory=memory).chat("Where?")


def mistral_append(server):
    with mistralai.client(server) as client:
        client.beta.conversations.append(conversation_id=OWN, inputs="Where?")


def mistral_restart_stream(server):
    with mistralai.client(server) as client:
        restart = client.beta.conversations.restart_stream
        with restart(conversation_id=OWN, inputs="Where?", from_entry_id="msg_1") as events:
            assert list(events)


def mistral_append_stream_async(server):
    async def main():
        async with mistralai.client(server) as client:
            append = client.beta.conversations.append_stream_async
            async with await append(conversation_id=OWN, inputs="Where?") as events:
                assert [event async for event in events]

    run(main())


CALLS = {
    langgraph_invoke: "langgraph",
    langgraph_stream: "langgraph",
    langgraph_ainvoke: "langgraph",
    langgraph_astream: "langgraph",
    langchain_metadata_session_id: "langchain_openai",
    langchain_metadata_conversation_id: "langchain_openai",
    langchain_bound_config: "langchain_openai",
    openai_conversation: "openai",
    openai_conversation_object: "openai",
    openai_conversation_async: "openai",
    bedrock_agent: "boto3",
    mistral_append: "mistralai.client",
    mistral_restart_stream: "mistralai.client",
    mistral_append_stream_async: "mistralai.client",
    llama_index_agent: "llama_index.llms.openai",
    llama_index_chat_engine: "llama_index.llms.openai",
}

each_call = pytest.mark.parametrize("call", CALLS, ids=lambda it: it.__name__)


def sessions(call, server, started):
    if not installed(CALLS[call]):
        pytest.skip(f"{CALLS[call]} is not installed here")
    begin = len(started.spans)
    call(server)
    made = started.spans[begin:]
    assert any(map(of_an_instrumentor, made)), "the call made no span"
    return {span.attributes.get("session.id") for span in made}


@each_call
def test_all_spans_of_the_call_have_the_conversation_id(call, server, started, report):
    assert sessions(call, server, started) == {OWN}
    with using_user("ada"):
        begin = len(started.spans)
        assert sessions(call, server, started) == {OWN}
        assert {it.attributes["user.id"] for it in started.spans[begin:]} == {"ada"}


@each_call
def test_the_applications_session_has_precedence(call, server, started, report):
    with using_session("chat-42"):
        assert sessions(call, server, started) == {"chat-42"}


def test_mistrals_conversation_id_on_spans_inside_its_calls(server, started, report):
    if not installed("mistralai.client"):
        pytest.skip("mistralai is not installed here")
    tracer = trace.get_tracer("an-application")
    begin = len(started.spans)
    with mistralai.client(server) as client:
        http = client.sdk_configuration.client
        send = http.send

        def traced(*arguments, **named):
            with tracer.start_as_current_span("http"):
                return send(*arguments, **named)

        http.send = traced
        client.beta.conversations.append(conversation_id=OWN, inputs="Where?")
        with using_session("chat-42"):
            client.beta.conversations.append(conversation_id=OWN, inputs="Where?")
    sent = [it.attributes.get("session.id") for it in started.spans[begin:] if it.name == "http"]
    assert sent == [OWN, "chat-42"]


def test_the_result_of_a_chain_is_unchanged(report):
    if not installed("langchain_core"):
        pytest.skip("langchain is not installed here")
    from langchain_core.runnables import RunnableLambda

    returned = {"completion": "text", "body": "text", "stream": "text"}
    with using_session("chat-42"):
        found = RunnableLambda(lambda _: returned).invoke("Where?")
    assert found == returned
    assert {type(value) for value in found.values()} == {str}
