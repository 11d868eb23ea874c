# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[bedrock]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A workshop's diary on Bedrock: converse with a tool, then converse_stream, through boto3."""

import sys
from typing import Any

import boto3
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

MODEL = "us.amazon.nova-lite-v1:0"
APPOINTMENTS = {"Vienna": "Friday 9:30", "Graz": "Monday 14:00"}
WORKSHOP = {"type": "string", "enum": [*APPOINTMENTS]}
SCHEMA = {"type": "object", "properties": {"workshop": WORKSHOP}, "required": ["workshop"]}
SPEC = {"name": "next_appointment", "inputSchema": {"json": SCHEMA}}
TOOLS = {"tools": [{"toolSpec": SPEC}]}
tracer = trace.get_tracer("workshop")


@tracer.start_as_current_span("find an appointment")
def look_up(bedrock: Any, messages: list[Any], question: str) -> None:
    """Take one turn with a tool: converse until the model calls no more tools."""
    print(f"\n> {question}")
    messages.append({"role": "user", "content": [{"text": question}]})
    while messages[-1]["role"] == "user":
        answer = bedrock.converse(modelId=MODEL, messages=messages, toolConfig=TOOLS)
        reply = answer["output"]["message"]
        messages.append(reply)
        print("".join(part["text"] + "\n" for part in reply["content"] if "text" in part), end="")
        results = []
        for use in (part["toolUse"] for part in reply["content"] if "toolUse" in part):
            free = APPOINTMENTS[use["input"]["workshop"]]
            print(f"[{use['name']}: {free}]")
            result = {"toolUseId": use["toolUseId"], "content": [{"text": free}]}
            results.append({"toolResult": result})
        if results:
            messages.append({"role": "user", "content": results})


@tracer.start_as_current_span("chat")
def chat(bedrock: Any, messages: list[Any], question: str) -> None:
    """Take one turn, printing the answer as it comes."""
    print(f"\n> {question}")
    messages.append({"role": "user", "content": [{"text": question}]})
    for event in bedrock.converse_stream(modelId=MODEL, messages=messages)["stream"]:
        print(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""), end="")
    print()


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is in one session of one user."""
    bedrock = boto3.client("bedrock-runtime")
    messages: list[Any] = []
    with using_session(session, user_id=user):
        look_up(bedrock, messages, "When can your workshop in Vienna mount a wheel?")
        chat(bedrock, messages[:1] + messages[-1:], "What shall I bring?")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not (boto3.Session().get_credentials() and boto3.Session().region_name):
        sys.exit(
            "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION, or --replay."
        )
    main()
