"""tool_error: a tool failed, or returned nothing but an error."""

import re
from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation, innermost_failures
from clew.sessions.signals.finding import TurnFinding, shortened

_BEGINNING = 300
_ERROR = re.compile(
    r"^[\s*#>\[(]{0,5}(?:error|exception|traceback|failed|failure|fatal|invalid)\b"
    r"|^[\s*#>\[(]{0,5}\w{0,60}(?-i:Error|Exception)\b"
    r'|"(?:error|errors|exception)" ?:(?! ?(?:null|""|\[\]|false|\{\}))|"is_?error" ?: ?true'
    r'|"(?:success|ok)" ?: ?false|"status" ?: ?"(?:error|failed|failure)"|exitcode: [1-9]'
    r"|Traceback \(most recent call last\)",
    re.IGNORECASE,
)
_RETURNED = 0.8


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield each call of a tool that failed, or whose result begins as an error does."""
    for it in conversation.exchanges:
        calls = [call for call in it.turn.calls if call.kind == "tool"]
        if not calls:
            continue
        failed = {call.span_id for call in innermost_failures(it.turn)}
        for call in calls:
            if call.span_id in failed:
                words = shortened(call.error)
                yield TurnFinding(it.index, "tool_error", 1.0, call.span_id, words)
            elif not call.error and (match := _ERROR.search(call.result[:_BEGINNING])):
                words = shortened(call.result[match.start() :])
                yield TurnFinding(it.index, "tool_error", _RETURNED, call.span_id, words)
