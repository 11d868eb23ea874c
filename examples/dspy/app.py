# /// script
# requires-python = ">=3.11"
# dependencies = ["clew[dspy]"]
# [tool.uv.sources]
# clew = { path = "../.." }  # Elsewhere: { git = "https://github.com/clew-project/clew" }
# ///
"""A stock keeper in DSPy: a ReAct program with a tool, then several questions in parallel."""

import os
import sys
from typing import Literal

import dspy
from opentelemetry import trace

from clew import instrument_all, using_session

instrument_all()

MESSAGES = [
    "Please add twelve spokes to order A-17.",
    "The parcel stood in the rain, and the box is soaked.",
    "Do you straighten wheels while one waits?",
]
tracer = trace.get_tracer("stock")


def in_stock(part: Literal["spoke", "chain"]) -> int:
    """How many of a part are in stock."""
    return {"spoke": 24, "chain": 0}[part]


@tracer.start_as_current_span("ask the stock keeper")
def ask(keeper: dspy.Module, history: dspy.History, question: str) -> None:
    """Take one turn; the program thinks, looks things up, and answers."""
    print(f"\n> {question}")
    answer = keeper(history=history, question=question).answer
    history.messages.append({"question": question, "answer": answer})
    print(answer)


@tracer.start_as_current_span("sort messages")
def sort(messages: list[str]) -> None:
    """Put several messages into drawers, in two threads at once."""
    print(f"\n> sort {len(messages)} messages")
    drawer = dspy.Predict("message -> drawer: Literal['order', 'complaint', 'question']")
    work = [(drawer, {"message": it}) for it in messages]
    parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
    for message, sorted_into in zip(messages, parallel(work), strict=True):
        print(f"{sorted_into.drawer}: {message}")


def main(session: str = "chat-42", user: str = "ada") -> None:
    """Hold one conversation: everything inside is in one session of one user."""
    dspy.configure(
        lm=dspy.LM("openai/gpt-4o-mini", api_base=os.getenv("OPENAI_BASE_URL"), cache=False)
    )
    keeper = dspy.ReAct("history: dspy.History, question -> answer", tools=[in_stock], max_iters=3)
    history = dspy.History(messages=[])
    with using_session(session, user_id=user):
        ask(keeper, history, "Do you have spokes for the wheel of A-17?")
        ask(keeper, history, "And a chain for a tandem?")
        sort(MESSAGES)


if __name__ == "__main__":
    if {"--replay", "--live"} & set(sys.argv):  # Without a key.
        from clew.cli.demo import replay_server

        replay_server.start(__file__)
    if not os.getenv("OPENAI_API_KEY"):
        sys.exit("Set OPENAI_API_KEY to your key, or run with --replay, which needs none.")
    main()
