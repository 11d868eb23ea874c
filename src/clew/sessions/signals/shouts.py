"""shouts: the user writes in capitals, or with several marks at once."""

import re
from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation, Heard
from clew.sessions.signals.finding import TurnFinding, shortened
from clew.sessions.signals.languages import is_stop_word

_MARKS = re.compile(r"[!?！？]{2}")
_MIN_LETTERS = 8
_CAPITALS = 0.8
_MAX_LENGTH = 1000


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which the user shouts; long texts are nobody's shouting."""
    for it in conversation.exchanges:
        text = it.turn.input.text
        if not text or len(text) > _MAX_LENGTH or not it.user.sentences:
            continue
        letters = [char for char in text if char.isalpha()]
        capitals = sum(char.isupper() for char in letters)
        in_capitals = len(letters) >= _MIN_LETTERS and capitals >= _CAPITALS * len(letters)
        if in_capitals and _speaks(it.user):
            yield TurnFinding(it.index, "shouts", 1.0, it.turn.root_id, shortened(text))
        elif _MARKS.search(text):
            yield TurnFinding(it.index, "shouts", 0.5, it.turn.root_id, shortened(text))


def _speaks(user: Heard) -> bool:
    """Whether something is said: a name, a number or a code is often in capitals."""
    words = (word for sentence in user.sentences for word in sentence)
    return bool(user.hits) or any(word == "!" or is_stop_word(word) for word in words)
