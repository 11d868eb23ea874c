"""slow: a turn took longer than 95 % of the application's turns."""

from collections.abc import Iterator

from clew.sessions.model import Turn
from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns that exceed what is usual: half as strong at it, full at twice as long."""
    limit = conversation.usual.seconds
    if limit is None or limit <= 0:
        return
    for it in conversation.exchanges:
        seconds = it.turn.seconds
        if seconds > limit:
            span = _longest(it.turn)
            words = f"{seconds:.1f} s, usually at most {limit:.1f} s"
            yield TurnFinding(it.index, "slow", min(1.0, seconds / limit / 2), span, words)


def _longest(turn: Turn) -> bytes:
    """Return the innermost span that took more than half of the turn, or its root."""
    found = turn.root_id
    for call in turn.calls:  # A call inside another one comes after it.
        if call.seconds > turn.seconds / 2:
            found = call.span_id
    return found
