# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "clew[openai]",
#     "httpx",
#     "opentelemetry-instrumentation-httpx",
#     "flask",  # These two for answers.py, which it starts.
#     "opentelemetry-instrumentation-flask",
# ]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A bicycle shop's front: it calls a service in Node, which calls another one in Python."""

import os
import sys

import httpx
import openai
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from clew import instrument_all, using_session

os.environ.setdefault("OTEL_SERVICE_NAME", "front")
os.environ.setdefault("CLEW_PROPAGATE_TO", "127.0.0.1")  # Who gets the ids: the desk, below.
instrument_all()
HTTPXClientInstrumentor().instrument()  # The spans of a client say where its requests go.

MODEL = "gpt-4o-mini"
tracer = trace.get_tracer("front")


@tracer.start_as_current_span("answer a customer")
def ask(desk: str, question: str) -> str:
    """Send the question to the desk."""
    print(f"\n> {question}")
    reply = httpx.post(desk, json={"question": question}, timeout=300).raise_for_status()
    answer: str = reply.json()["answer"]
    print(answer)
    return answer


@tracer.start_as_current_span("answer in German")
def ask_in_german(client: openai.OpenAI, desk: str, question: str) -> None:
    """Send the question to the desk, and translate the answer with a model."""
    wanted = {"role": "user", "content": f"Say in German: {ask(desk, question)}"}
    german = client.chat.completions.create(
        model=MODEL, messages=[wanted], temperature=0, max_tokens=48
    )
    print(f"\n{german.choices[0].message.content}")


def main(desk: str, session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: all that the services do for it is in its session."""
    client = openai.OpenAI()
    with using_session(session, user_id=user):
        ask(desk, "Is the workshop open on Saturday?")
        ask_in_german(client, desk, "How long can I rent a bicycle?")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    if "DESK_URL" in os.environ:
        main(os.environ["DESK_URL"])
    else:
        import services

        with services.running() as url:
            main(url)
