# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[mistral]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A translator on Mistral: one answer at once, one streamed, and several at the same time."""

import asyncio
import os
import sys
from typing import Any

from mistralai.client import Mistral
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

SETTINGS: dict[str, Any] = {"model": "mistral-small-latest", "max_tokens": 60, "temperature": 0}
tracer = trace.get_tracer("translator")


@tracer.start_as_current_span("ask")
def ask(client: Mistral, messages: list[Any], question: str) -> None:
    """Take one turn, and wait for the whole answer."""
    print(f"\n> {question}")
    messages.append({"role": "user", "content": question})
    reply = client.chat.complete(messages=messages, **SETTINGS).choices[0].message
    messages.append({"role": "assistant", "content": reply.content})
    print(reply.content)


@tracer.start_as_current_span("ask, and read along")
def stream(client: Mistral, messages: list[Any], question: str) -> None:
    """Take one turn, printing the answer as it comes."""
    print(f"\n> {question}")
    messages.append({"role": "user", "content": question})
    answer = ""
    for event in client.chat.stream(messages=messages, **SETTINGS):
        words = event.data.choices[0].delta.content or ""
        answer += words
        print(words, end="", flush=True)
    messages.append({"role": "assistant", "content": answer})
    print()


async def translate(client: Mistral, text: str, languages: list[str]) -> None:
    """Ask for several translations at the same time."""
    print(f"\n> {text!r} in {', '.join(languages)}")
    asked = [[{"role": "user", "content": f"Say in {it}: {text}"}] for it in languages]
    with tracer.start_as_current_span("translate"):
        calls = [client.chat.complete_async(messages=it, **SETTINGS) for it in asked]
        for language, answer in zip(languages, await asyncio.gather(*calls), strict=True):
            print(f"{language}: {answer.choices[0].message.content}")


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is in one session of one user."""
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"], server_url=os.getenv("MISTRAL_URL"))
    messages: list[Any] = []
    with using_session(session, user_id=user):
        ask(client, messages, "Say in German: Please leave the parcel with Mrs Huber.")
        stream(client, messages, "Shorter, please, for a note on the door.")
        asyncio.run(translate(client, "The bell is broken, please knock.", ["German", "Polish"]))


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("MISTRAL_API_KEY"):
        sys.exit("Set MISTRAL_API_KEY to your key, or run with --replay, which needs none.")
    main()
