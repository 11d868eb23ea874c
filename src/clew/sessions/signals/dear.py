"""dear: a turn cost more than 95 % of the application's turns."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns that exceed what is usual: half as strong at it, full at twice the cost."""
    limit = conversation.usual.cost
    if limit is None or limit <= 0:
        return
    for it in conversation.exchanges:
        cost = it.turn.cost
        if cost is not None and cost > limit:
            dearest = max(it.turn.calls, key=lambda call: call.cost or 0.0, default=None)
            span = dearest.span_id if dearest else it.turn.root_id
            words = f"${cost:.4f}, usually at most ${limit:.4f}"
            yield TurnFinding(it.index, "dear", min(1.0, cost / limit / 2), span, words)
