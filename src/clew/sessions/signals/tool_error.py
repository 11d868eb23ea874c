"""tool_error: a tool failed, or returned nothing but an error."""

import re
from collections.abc import Iterator

from clew.sessions.json_values import is_array, is_object, parse
from clew.sessions.signals.conversation import Conversation, innermost_failures
from clew.sessions.signals.finding import TurnFinding, said_by, shortened

_BEGINNING = 300
_MAX_PARSED = 20_000
"""Of a longer result, only the beginning is read, as that of a text is."""
_RAISED = r"exitcode: [1-9]|Traceback \(most recent call last\)"
_ERROR = re.compile(
    r"^[\s*#>\[(]{0,5}(?:error|exception|traceback|failed|failure|fatal|invalid)\b"
    # "Failed: 0, passed: 12", and a text with the title "Error handling in Go".
    r"(?!\s*[:=]\s*(?:0\b|(?:none|null|false)\s*(?:[,;.]|$)))"
    r"(?!\s(?:analysis|budgets?|correction|handlers?|handling|logging|modes?|rates?|tracking)\b)"
    r"|^[\s*#>\[(]{0,5}\w{1,60}(?-i:Error|Exception)\b"
    # Parts of JSON, and of what Python shows for a dict.
    r"""|["'](?:error|errors|exception)["']\s*:"""
    r"""(?!\s*(?:(?:null|none|false|0)\b|(["'])(?:null|none|false|0)?\1|\[\s*\]|\{\s*\}))"""
    r"""|["']is_?error["']\s*:\s*true|["'](?:success|ok)["']\s*:\s*false"""
    r"""|["']status["']\s*:\s*["'](?:error|failed|failure)["']"""
    rf"|{_RAISED}",
    re.IGNORECASE,
)
_IN_JSON = re.compile(_RAISED, re.IGNORECASE)
_RETURNED = 0.8
_NO_ERROR = frozenset({"", "0", "false", "none", "null"})
_FLAGS = {"is_error": True, "iserror": True, "success": False, "ok": False}
_WRAPPERS = 3


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield each call of a tool that failed, or whose result states an error."""
    for it in conversation.exchanges:
        calls = [call for call in it.turn.calls if call.kind == "tool"]
        if not calls:
            continue
        failed = {call.span_id for call in innermost_failures(it.turn)}
        for call in calls:
            if call.span_id in failed:
                words = said_by(call.error)
                yield TurnFinding(it.index, "tool_error", 1.0, call.span_id, words)
            elif not call.error and (words := shortened(_stated(call.result))):
                yield TurnFinding(it.index, "tool_error", _RETURNED, call.span_id, words)


def _stated(result: str) -> str:
    """Return a result from where it states an error; empty if it states none."""
    said = parse(result) if len(result) <= _MAX_PARSED else None
    if not is_object(said) and not is_array(said):
        match = _ERROR.search(result[:_BEGINNING])
    elif key := _key_of_error(said):
        return result[max(0, result.find(f'"{key}"')) :]
    else:
        match = _IN_JSON.search(result[:_BEGINNING])
    return result[match.start() :] if match else ""


def _key_of_error(said: object) -> str:
    """Return the key at the top that states an error, or in the only thing that is there."""
    for _ in range(_WRAPPERS):
        if is_array(said) and len(said) == 1:
            (said,) = said
        if not is_object(said):
            break
        for key, value in said.items():
            if _states_error(key.lower(), value):
                return key
        if len(said) > 1:
            break
        said = next(iter(said.values()), None)
    return ""


def _states_error(key: str, value: object) -> bool:
    if key in {"error", "errors", "exception"}:
        if isinstance(value, str):
            return value.strip().lower() not in _NO_ERROR
        return bool(value) and not isinstance(value, float)  # How far a figure is off, perhaps.
    if key == "status":
        return isinstance(value, str) and value.lower() in {"error", "failed", "failure"}
    return key in _FLAGS and value is _FLAGS[key]
