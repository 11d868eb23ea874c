# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[openai]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A support chat: answers are streamed, a tool looks orders up, and the ticket is summed up."""

import json
import os
import sys
from typing import Any

import openai
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

MODEL = "gpt-4o-mini"
ORDERS = {"A-17": "rear wheel, held at the Vienna depot: no house number in the address"}
SCHEMA = {"order": {"type": "string", "description": "Its number, like A-17."}}
ARGUMENTS = {"type": "object", "properties": SCHEMA, "required": ["order"]}
TOOL = {"name": "order_status", "description": "How far it is.", "parameters": ARGUMENTS}
UNSENT = {"parsed": True, "tool_calls": {"__all__": {"index"}}}  # Only answers have them.
tracer = trace.get_tracer("support")


@tracer.start_as_current_span("answer a customer")
def ask(client: openai.OpenAI, messages: list[Any], question: str) -> None:
    """Answer as the words come, looking orders up where the model wants it."""
    print(f"\n\n> {question}")
    messages.append({"role": "user", "content": question})
    tools = [{"type": "function", "function": TOOL}]
    while messages[-1]["role"] != "assistant":
        with client.chat.completions.stream(
            model=MODEL, messages=messages, tools=tools, stream_options={"include_usage": True}
        ) as stream:
            for event in stream:
                if event.type == "content.delta":
                    print(event.delta, end="", flush=True)
            reply = stream.get_final_completion().choices[0].message
        messages.append(reply.model_dump(exclude_none=True, exclude=UNSENT))
        for call in reply.tool_calls or ():
            status = ORDERS.get(json.loads(call.function.arguments)["order"], "no such order")
            print(f"[{call.function.name}: {status}]")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": status})


@tracer.start_as_current_span("sum the ticket up")
def sum_up(client: openai.OpenAI, messages: list[Any]) -> None:
    """Write the ticket's title, with the Responses API."""
    said = " ".join(it["content"] for it in messages if it["role"] == "user")
    asked = f"A customer said: {said}\nWrite a title of six words for it."
    title = client.responses.create(model=MODEL, input=asked, max_output_tokens=16)
    print(f"\n\nticket: {title.output_text}")


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is in one session of one user."""
    client = openai.OpenAI()
    messages: list[Any] = [{"role": "system", "content": "You are a bicycle shop's support."}]
    with using_session(session, user_id=user):
        ask(client, messages, "My order A-71 should have come on Friday. Where is it?")
        ask(client, messages, "Sorry, it is A-17.")
        ask(client, messages, "The house number is 21. Can you change that?")
        ask(client, messages, "That is not what I asked! 21 is the house number.")
        sum_up(client, messages)


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
