"""error: something in the turn failed, other than a tool; a guardrail that blocks has not."""

from collections.abc import Iterator

from clew.sessions.model import Call
from clew.sessions.signals.content_filter import has_intervened
from clew.sessions.signals.conversation import Conversation, innermost_failures
from clew.sessions.signals.finding import TurnFinding, said_by


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the first failure of each turn: that of the innermost call."""
    for it in conversation.exchanges:
        turn = it.turn
        if not turn.errors and not turn.error:
            continue
        failed = innermost_failures(turn)
        others = [call for call in failed if not _is_told_elsewhere(call)]
        if others:
            words = said_by(others[0].error)
            yield TurnFinding(it.index, "error", 1.0, others[0].span_id, words)
        elif not failed:
            yield TurnFinding(it.index, "error", 1.0, turn.root_id, said_by(turn.error))


def _is_told_elsewhere(failed: Call) -> bool:
    return failed.kind == "tool" or (failed.kind == "guardrail" and has_intervened(failed))
