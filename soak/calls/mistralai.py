"""Mistral's SDK, called directly."""

from soak.calls import TIMEOUT, call
from tests.landing.calls import mistralai


def client(provider):
    return mistralai.client(provider, timeout_ms=int(TIMEOUT * 1000))


def asked(question):
    return {"model": mistralai.MODEL, "messages": [{"role": "user", "content": question}]}


@call("mistral", "call")
def chat(provider, question):
    return provider.kept(client).chat.complete(**asked(question)).choices[0].message.content


@call("mistral", "call")
def embeddings(provider, question):
    mistral = provider.kept(client)
    assert mistral.embeddings.create(model="mistral-embed", inputs=[question]).data
    return question


@call("mistral", "call")
def conversation(provider, question):
    talk = provider.kept(client).beta.conversations
    return talk.start(model=mistralai.MODEL, inputs=question).outputs[0].content


@call("mistral", "stream")
def chat_stream(provider, question):
    return provider.kept(client).chat.stream(**asked(question))


@call("mistral", "acall")
def chat_async(provider, question):
    return provider.kept(client).chat.complete_async(**asked(question))


@call("mistral", "astream")
def chat_stream_async(provider, question):
    return provider.kept(client).chat.stream_async(**asked(question))
