"""OpenAI's SDK, called directly."""

import openai as sdk

from soak.calls import TIMEOUT, call
from tests.landing.calls import openai

CHAT = {"model": "gpt-4o-mini"}


def client(provider):
    return openai.client(provider, max_retries=1, timeout=TIMEOUT)


def async_client(provider):
    return openai.async_client(provider, max_retries=1, timeout=TIMEOUT)


def user(question):
    return [{"role": "user", "content": question}]


@call("openai", "call")
def chat(provider, question):
    completions = provider.kept(client).chat.completions
    return completions.create(**CHAT, messages=user(question)).choices[0].message.content


@call("openai", "call")
def responses(provider, question):
    return provider.kept(client).responses.create(**CHAT, input=question).output_text


@call("openai", "call")
def tools(provider, question):
    completions = provider.kept(client).chat.completions
    asked = {**CHAT, "tools": [openai.WEATHER]}
    message = completions.create(**asked, messages=user(question)).choices[0].message
    answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    answered = completions.create(**asked, messages=[*user(question), message, answer])
    return answered.choices[0].message.content


@call("openai", "call")
def own_client(provider, question):
    """With a client that is made for one call, and closed."""
    with client(provider) as mine:
        return mine.responses.create(**CHAT, input=question).output_text


@call("openai", "call")
def embeddings(provider, question):
    with_model = {"model": "text-embedding-3-small", "input": [question]}
    assert provider.kept(client).embeddings.create(**with_model).data
    return question


@call("openai", "stream")
def chat_stream(provider, question):
    completions = provider.kept(client).chat.completions
    return completions.create(**CHAT, messages=user(question), stream=True)


@call("openai", "stream")
def responses_stream(provider, question):
    return provider.kept(client).responses.create(**CHAT, input=question, stream=True)


@call("openai", "acall")
def chat_async(provider, question):
    return provider.kept(async_client).chat.completions.create(**CHAT, messages=user(question))


@call("openai", "own")
async def own_client_async(provider, question):
    async with sdk.AsyncOpenAI(base_url=provider.openai_url, api_key="key") as mine:
        return await mine.chat.completions.create(**CHAT, messages=user(question))


@call("openai", "astream")
def chat_stream_async(provider, question):
    completions = provider.kept(async_client).chat.completions
    return completions.create(**CHAT, messages=user(question), stream=True)
