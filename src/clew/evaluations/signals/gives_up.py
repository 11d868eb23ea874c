"""gives_up: the user gives up."""

from collections.abc import Iterator

from clew.evaluations.signals.conversation import Conversation
from clew.evaluations.signals.finding import Finding
from clew.evaluations.signals.said import by_user


def find(conversation: Conversation) -> Iterator[Finding]:
    """Yield the turns in which the user says so."""
    return by_user(conversation, "gives_up")
