"""A long conversation exceeds the SDK's limit of 128 attributes; its spans keep the ids.

The tracer provider is the application's, with default limits. Each call makes several hundred
attributes, of which the SDK drops the oldest.
"""

import json
import logging

import pytest

from tests.landing.calls import bedrock, dspy, langchain, llama_index, mistralai, openai
from tests.landing.table import call_inside_and_outside, of_an_instrumentor

TURNS, INPUTS, TOOLS = 300, 500, 200


def dialogue():
    roles = ("user", "assistant")
    return [{"role": roles[turn % 2], "content": f"Turn {turn}"} for turn in range(TURNS - 1)]


def tools():
    function = openai.WEATHER["function"]
    return [
        {"type": "function", "function": {**function, "name": f"weather_{number}"}}
        for number in range(TOOLS)
    ]


def openai_chat(server):
    with openai.client(server) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=dialogue())


def openai_stream(server):
    with openai.client(server) as client:
        list(client.chat.completions.create(model="gpt-4o-mini", messages=dialogue(), stream=True))


def openai_tools(server):
    with openai.client(server) as client:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=dialogue()[:1], tools=tools(), tool_choice="none"
        )


def openai_embeddings(server):
    with openai.client(server) as client:
        inputs = [f"Input {number}" for number in range(INPUTS)]
        client.embeddings.create(model="text-embedding-3-small", input=inputs)


def mistral_chat(server):
    with mistralai.client(server) as client:
        client.chat.complete(model=mistralai.MODEL, messages=dialogue(), tools=tools())


def bedrock_converse(server):
    messages = [{**it, "content": [{"text": it["content"]}]} for it in dialogue()]
    bedrock.client(server).converse(modelId=bedrock.CLAUDE, messages=messages)


def bedrock_invoke(server):
    body = {**json.loads(bedrock.CLAUDE_BODY), "messages": dialogue()}
    bedrock.client(server).invoke_model(modelId=bedrock.CLAUDE, body=json.dumps(body))


def langchain_chat(server):
    langchain.model(server).invoke(dialogue())


def langchain_tools(server):
    langchain.model(server).bind_tools(tools()).invoke(dialogue())


def llama_index_chat(server):
    from llama_index.core.llms import ChatMessage

    llama_index.llm(server).chat([ChatMessage(**it) for it in dialogue()])


def llama_index_embeddings(server):
    from llama_index.embeddings.openai import OpenAIEmbedding

    embedder = OpenAIEmbedding(api_base=server.openai_url, api_key="key", embed_batch_size=INPUTS)
    embedder.get_text_embedding_batch([f"Input {number}" for number in range(INPUTS)])


def dspy_chat(server):
    import dspy as sdk

    class Chat(sdk.Signature):
        question: str = sdk.InputField()
        history: sdk.History = sdk.InputField()
        answer: str = sdk.OutputField()

    turns = [{"question": f"Turn {turn}", "answer": "out"} for turn in range(TURNS // 2)]
    dspy.predict(server, Chat)(question="Where?", history=sdk.History(messages=turns))


CALLS = {
    openai_chat: "openai",
    openai_stream: "openai",
    openai_tools: "openai",
    openai_embeddings: "openai",
    mistral_chat: "mistralai.client",
    bedrock_converse: "boto3",
    bedrock_invoke: "boto3",
    langchain_chat: "langchain_openai",
    langchain_tools: "langchain_openai",
    llama_index_chat: "llama_index.llms.openai",
    llama_index_embeddings: "llama_index.embeddings.openai",
    dspy_chat: "dspy",
}


@pytest.mark.parametrize("call", CALLS, ids=lambda it: it.__name__)
def test_spans_keep_the_ids_beyond_the_attribute_limit(call, server, started, report, caplog):
    pytest.importorskip(CALLS[call])
    caplog.set_level(logging.ERROR, logger="opentelemetry.attributes")  # A warning for each drop.
    first = len(started.spans)
    outcome = call_inside_and_outside(lambda: call(server), started.spans)
    outcome.record(call.__name__, "long conversations")
    made = [span for span in started.spans[first:] if of_an_instrumentor(span)]
    assert any(span.dropped_attributes for span in made), "nothing was dropped: a vacuous test"
