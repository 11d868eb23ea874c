"""content_filter: a provider's filter or a guardrail has stopped a question or an answer."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, shortened

_REASONS = frozenset(
    {
        "content_filter",
        "content_filtered",
        "content-filter",
        "safety",
        "refusal",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "guardrail_intervened",
        "image_safety",
    }
)
_ERRORS = (
    "content_filter",
    "content management policy",
    "content_policy",
    "ResponsibleAIPolicyViolation",
    "guardrail_intervened",
)


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which a call was stopped by a filter."""
    for it in conversation.exchanges:
        for call in it.turn.calls:
            by_reason = call.finish_reason in _REASONS
            if by_reason or any(text in call.error for text in _ERRORS):
                words = call.finish_reason if by_reason else shortened(call.error)
                yield TurnFinding(it.index, "content_filter", 1.0, call.span_id, words)
                break
