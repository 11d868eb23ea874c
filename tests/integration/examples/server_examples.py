"""The examples that are servers, and how to hold a conversation with each.

The other examples run to their end by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.examples import chat_client
from tests.integration.examples.programs import Start
from tests.integration.examples.run_example import ROOT, Run, isolated_environment, received_spans


@dataclass(frozen=True)
class ServerExample:
    """One example."""

    needs: tuple[str, ...]
    """The modules that it needs."""
    hold_conversations: Callable[[Start], str]
    """Starts it, sends questions, stops it, and returns the questions and answers."""


SERVER_EXAMPLES = {
    "fastapi_chat": ServerExample(
        ("openai", "fastapi.telemetry", "uvicorn"), chat_client.hold_conversations
    )
}
"""By the name of the folder, which is also that of the cassette."""


def replayed(name: str, folder: Path) -> Run:
    """Hold the recorded conversation with an example, without a network."""
    with isolated_environment(folder) as (environment, collector):
        start = Start(ROOT / "examples" / name, folder, environment, ("--replay",))
        output = SERVER_EXAMPLES[name].hold_conversations(start)
        return Run(0, output, "", received_spans(collector))
