"""refusal: the assistant refuses, or says that it cannot or does not know."""

from collections.abc import Iterator

from clew.evaluations.signals.conversation import Conversation
from clew.evaluations.signals.finding import Finding
from clew.evaluations.signals.said import by_assistant


def find(conversation: Conversation) -> Iterator[Finding]:
    """Yield the turns in which the assistant says so."""
    return by_assistant(conversation, "refusal")
