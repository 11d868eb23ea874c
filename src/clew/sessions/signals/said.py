"""by_user, by_assistant: findings for what one side says in so many words."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding


def by_user(conversation: Conversation, name: str) -> Iterator[TurnFinding]:
    """Yield the turns in which the user says what the phrases of a signal are for."""
    for it in conversation.exchanges:
        hit = it.user.strongest(name)
        if hit is not None:
            yield TurnFinding(it.index, name, hit.score, it.turn.root_id, hit.words)


def by_assistant(conversation: Conversation, name: str) -> Iterator[TurnFinding]:
    """Yield the turns in which the assistant says what the phrases of a signal are for."""
    for it in conversation.exchanges:
        hit = it.assistant.strongest(name)
        if hit is not None:
            yield TurnFinding(it.index, name, hit.score, it.answering, hit.words)
