"""content_filter: a provider's filter or a guardrail has stopped a question or an answer."""

import re
from collections.abc import Iterator

from clew.sessions.failures import NOT_SAID
from clew.sessions.json_values import is_object, parse, text
from clew.sessions.model import Call
from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, said_by, shortened

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
_INTERVENED = "GUARDRAIL_INTERVENED"
"""What Bedrock's guardrails answer, also where they only mask a name or a number."""
_MASKS = re.compile("mask|anonymi", re.IGNORECASE)


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns in which a call was stopped by a filter."""
    for it in conversation.exchanges:
        for call in it.turn.calls:
            by_reason = call.finish_reason in _REASONS
            if (
                by_reason
                or any(part in call.error for part in _ERRORS)
                or (call.kind == "guardrail" and has_intervened(call))
            ):
                stated = said_by(call.error) or shortened(call.result)
                words = call.finish_reason if by_reason else stated
                yield TurnFinding(it.index, "content_filter", 1.0, call.span_id, words)
                break


def has_intervened(guardrail: Call) -> bool:
    """Whether a guardrail has stopped something; one that is unreachable or only masks has not."""
    if guardrail.error:
        # Of a guardrail in Bedrock's agents nothing else is said.
        return bool(guardrail.result) or guardrail.error == NOT_SAID
    if _INTERVENED not in guardrail.result:
        return False
    said = parse(guardrail.result)
    if not is_object(said) or said.get("action") != _INTERVENED:
        return False
    return not _MASKS.search(text(said.get("actionReason")))
