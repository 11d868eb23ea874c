# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[langchain]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # In a clone of it. Elsewhere, take out both lines.
# ///
"""A LangGraph agent that remembers the conversation and uses a tool, streaming its steps."""

import os
import sys
from typing import Any, Literal

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

tracer = trace.get_tracer("travel")


@tool
def weather(city: Literal["Heraklion", "Athens"]) -> str:
    """The weather in a city."""
    return f"sunny in {city}, 24 degrees"


@tracer.start_as_current_span("plan a trip")
def ask(agent: Any, thread: str, question: str) -> None:
    """Take one turn; the agent's memory knows the turns before, by its thread."""
    print(f"\n> {question}")
    asked = {"messages": [{"role": "user", "content": question}]}
    config = {"configurable": {"thread_id": thread}}
    for step in agent.stream(asked, config, stream_mode="updates"):
        for update in step.values():
            message = update["messages"][-1]
            calls = [f"[{it['name']} {it['args']}]" for it in getattr(message, "tool_calls", ())]
            print(*filter(None, [message.text, *calls]))


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is one session's, and one user's."""
    agent = create_agent(
        ChatOpenAI(model="gpt-4o-mini"),
        tools=[weather],
        system_prompt="You plan short trips. Answer in one sentence.",
        checkpointer=InMemorySaver(),
    )
    with using_session(session, user_id=user):
        ask(agent, "trip-1", "How is the weather in Heraklion?")
        ask(agent, "trip-1", "Which language do they speak there?")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.demo import stand_in

        stand_in.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
