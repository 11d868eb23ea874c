"""asks_back: the assistant asks what the user means."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.said import by_assistant


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which the assistant says so."""
    return by_assistant(conversation, "asks_back")
