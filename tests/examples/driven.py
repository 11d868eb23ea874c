"""The examples that are no framework's row: how somebody holds a conversation with each.

A row's example runs to its end by itself. These are servers, or several programs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.examples import chatting
from tests.examples.programs import Start


@dataclass(frozen=True)
class Driven:
    """One example."""

    needs: tuple[str, ...]
    """Modules."""
    drive: Callable[[Start], str]
    """Starts its programs, talks with them, stops them, and returns what was said."""


DRIVEN = {"fastapi_chat": Driven(("openai", "fastapi", "uvicorn"), chatting.drive)}
"""By the name of the folder, which is also the cassette's."""
