"""user_repeats: the user says the same again, or almost the same in other words."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, shortened
from clew.sessions.signals.likeness import likeness

_TURNS_BACK = 5
_ALIKE = 0.4
_MIN_WORDS = 3


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which the user repeats or rephrases one of the last five messages."""
    several = conversation.exchanges
    for it in several:
        if it.user.words < _MIN_WORDS:
            continue
        earlier = several[max(0, it.index - _TURNS_BACK) : it.index]
        alike = max((likeness(it.user, other.user) for other in earlier), default=0.0)
        if alike >= _ALIKE:
            words = shortened(it.turn.input.text)
            yield TurnFinding(it.index, "user_repeats", alike, it.turn.root_id, words)
