"""The examples that are no framework's row: how somebody holds a conversation with each.

Others run to their end by themselves. These are servers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.examples import chatting
from tests.examples.programs import Start
from tests.examples.running import ROOT, Run, shown, surroundings


@dataclass(frozen=True)
class Driven:
    """One example."""

    needs: tuple[str, ...]
    """Modules."""
    drive: Callable[[Start], str]
    """Starts it, talks with it, stops it, and returns what was said."""


DRIVEN = {"fastapi_chat": Driven(("openai", "fastapi.telemetry", "uvicorn"), chatting.drive)}
"""By the name of the folder, which is also the cassette's."""


def replayed(name: str, folder: Path) -> Run:
    """Hold the recorded conversation with one, where no network can be reached."""
    with surroundings(folder) as (given, collector):
        said = DRIVEN[name].drive(Start(ROOT / "examples" / name, folder, given, ("--replay",)))
        return Run(0, said, "", shown(collector))
