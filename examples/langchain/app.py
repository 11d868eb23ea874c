# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[langchain]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A LangGraph agent that remembers the conversation and uses tools, streaming its steps."""

import os
import sys
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

tracer = trace.get_tracer("delivery")


@tool
def delivery_slots(order: str) -> str:
    """When the carrier can bring an order."""
    return f"{order}: Thursday 8-12, Thursday 13-17, Friday 8-12"


@tool
def book_delivery(order: str, address: str, slot: str) -> str:
    """Have the carrier bring an order, or change when it does."""
    return f"{order} is booked for {slot}, {address}"


@tracer.start_as_current_span("arrange a delivery")
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
    """Hold one conversation: everything inside is in one session of one user."""
    agent = create_agent(
        ChatOpenAI(model="gpt-4o-mini"),
        tools=[delivery_slots, book_delivery],
        system_prompt="You arrange the deliveries of a bicycle shop. Be brief.",
        checkpointer=InMemorySaver(),
    )
    with using_session(session, user_id=user):
        ask(agent, "a-17", "The address of A-17 is Lindengasse 21. When can it come?")
        ask(agent, "a-17", "Thursday before noon, please.")
        ask(agent, "a-17", "No, I said before noon.")


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
