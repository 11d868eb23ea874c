"""no_answer: a model was called, and nothing came back, or only a part."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation, Exchange
from clew.sessions.signals.finding import TurnFinding, shortened

_CUT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
_CUT_SCORE = 0.7


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns whose answer is empty, or was cut off."""
    for it in conversation.exchanges:
        turn = it.turn
        models = [call for call in turn.calls if call.kind == "model"]
        cut = next((call for call in models if call.finish_reason in _CUT), None)
        if models and not _answered(it):
            yield TurnFinding(it.index, "no_answer", 1.0, models[-1].span_id, "")
        elif cut is not None:
            words = f"{cut.finish_reason}: …{shortened(turn.output.text[-100:])}"
            yield TurnFinding(it.index, "no_answer", _CUT_SCORE, cut.span_id, words)


def _answered(exchange: Exchange) -> bool:
    output = exchange.turn.output
    return bool(output.text.strip() or output.media or output.tool_requests)
