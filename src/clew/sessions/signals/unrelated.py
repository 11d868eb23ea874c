"""unrelated: the answer has no word in common with what was said before."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, shortened
from clew.sessions.signals.likeness import shared

_MIN_WORDS = 4


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the answers without any word of the user's last two messages."""
    several = conversation.exchanges
    for it in several:
        if it.assistant.words < _MIN_WORDS or not it.user.content or not it.assistant.content:
            continue
        before = several[max(0, it.index - 1) : it.index + 1]
        if not any(shared(it.assistant, other.user) for other in before):
            words = shortened(it.turn.output.text)
            yield TurnFinding(it.index, "unrelated", 0.5, it.answering, words)
