"""assistant_repeats: the assistant gives an answer that it has given before."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, shortened
from clew.sessions.signals.likeness import likeness

_TURNS_BACK = 5
_ALIKE = 0.6
_MIN_WORDS = 4


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns whose answer is like one of the last five."""
    several = conversation.exchanges
    for it in several:
        if it.assistant.words < _MIN_WORDS:
            continue
        earlier = several[max(0, it.index - _TURNS_BACK) : it.index]
        alike = max((likeness(it.assistant, other.assistant) for other in earlier), default=0.0)
        if alike >= _ALIKE:
            words = shortened(it.turn.output.text)
            yield TurnFinding(it.index, "assistant_repeats", alike, it.answering, words)
