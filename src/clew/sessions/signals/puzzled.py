"""puzzled: the user does not understand what the assistant says."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.said import by_user


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which the user says so."""
    return by_user(conversation, "puzzled")
