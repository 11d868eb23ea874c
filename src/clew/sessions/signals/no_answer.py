"""no_answer: a model was called, and nothing came back, or only a part."""

from collections.abc import Iterator

from clew.sessions.masked import is_masked
from clew.sessions.model import Call, Turn
from clew.sessions.signals.conversation import Conversation, Exchange
from clew.sessions.signals.finding import TurnFinding, shortened

_CUT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
_CUT_SCORE = 0.7
_MIN_LENGTH = 20
"""A shorter text may be a classifier's label, which is a word of the answer by chance."""


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns whose answer is empty, or was cut off."""
    for it in conversation.exchanges:
        turn = it.turn
        models = [call for call in turn.calls if call.kind == "model"]
        if models and not _answered(it):
            yield TurnFinding(it.index, "no_answer", 1.0, models[-1].span_id, "")
        elif (cut := _cut(turn, models)) is not None:
            words = f"{cut.finish_reason}: …{shortened(turn.output.text[-100:])}"
            yield TurnFinding(it.index, "no_answer", _CUT_SCORE, cut.span_id, words)


def _cut(turn: Turn, models: list[Call]) -> Call | None:
    """Return the call that was cut while it wrote the answer: not a router of one token, say."""
    if all(call.finish_reason not in _CUT for call in models):
        return None
    answering = [call for call in models if _is_in(call, turn.output.text)] or models[-1:]
    return next((call for call in answering if call.finish_reason in _CUT), None)


def _is_in(call: Call, answer: str) -> bool:
    texts = [it.text.strip() for it in call.output if not is_masked(it.text)]
    return any(it == answer.strip() or (len(it) >= _MIN_LENGTH and it in answer) for it in texts)


def _answered(exchange: Exchange) -> bool:
    output = exchange.turn.output
    return bool(output.text.strip() or output.media or output.tool_requests)
