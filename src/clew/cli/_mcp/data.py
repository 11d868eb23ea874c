"""Sessions, turns and calls as plain data for an agent: short, and saying what was left out."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from clew.sessions.model import BadTurn, Call, Message, Turn
from clew.sessions.session import Session

_MAX_LINE = 200
_MAX_DOCUMENTS = 5
_MAX_CALLS = 50
_SECOND = 10**9


def cut(text: str, most: int) -> str:
    """Return the beginning of *text*, and how many characters were left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… [{len(text) - most:,} characters left out]"


def session_brief(session: Session) -> dict[str, Any]:
    """Return the figures of a session, and how it began."""
    return _without_empty(
        {
            "id": session.id,
            "user": session.user_id,
            "first": moment(session.first),
            "last": moment(session.last),
            "turns": len(session.turns),
            "seconds": round(session.seconds, 3),
            "model_calls": session.model_calls,
            "tool_calls": session.tool_calls,
            "tokens": session.tokens.total,
            "cost": session.cost,
            "latency_p95": round(session.latency_p95, 3),
            "models": list(session.models),
            "frameworks": list(session.frameworks),
            "tools": list(session.tools),
            "first_message": cut(session.first_message, _MAX_LINE),
        }
    ) | {
        # These say something also when there is nothing.
        "errors": session.errors,
        "failed_turns": session.failed_turns,
        "friction": _rounded(session.friction),
        "failure": _rounded(session.failure),
        "outcome": session.outcome,
        "first_bad_turn": bad_turn_data(session.first_bad_turn),
    }


def bad_turn_data(bad: BadTurn | None) -> dict[str, Any] | None:
    """Return where a conversation breaks."""
    if bad is None:
        return None
    return {
        "turn": bad.turn,
        "kind": bad.kind,
        "score": _rounded(bad.score),
        "signals": list(bad.signals),
        "words": bad.words,
        "trace_id": bad.trace_id.hex(),
        "span_id": bad.span_id.hex(),
        "cause_span_id": bad.cause_id.hex(),
        "cause_trace_id": bad.cause_trace_id.hex(),
    }


def turn_data(
    turn: Turn, number: int, most: int, *, calls: bool, causes: Collection[bytes] = ()
) -> dict[str, Any]:
    """Return a turn, each of its texts with *most* characters; of very many calls the *causes*."""
    data: dict[str, Any] = {
        "turn": number,
        "start": moment(turn.started),
        "seconds": round(turn.seconds, 3),
        "trace_id": turn.trace_id.hex(),
        "said": _message(turn.input, most),
        "answered": _message(turn.output, most),
        "error": cut(turn.error, most),
        "tokens": turn.tokens.total,
        "cost": turn.cost,
        "models": list(turn.models),
        "friction": _rounded(turn.friction),
        "failure": _rounded(turn.failure),
        "findings": [
            {"signal": it.name, "score": _rounded(it.score), "words": it.words}
            for it in turn.findings
        ],
    }
    if calls:
        shown = _most_telling(turn, causes)
        data["calls"] = [call_data(call, turn, most) for call in shown]
        data["calls_left_out"] = len(turn.calls) - len(shown)
    return _without_empty(data)


def _most_telling(turn: Turn, causes: Collection[bytes]) -> list[Call]:
    """Return at most so many calls in their order: those that failed or were noticed, the first."""
    noticed = {it.span_id for it in turn.findings}
    ranked = sorted(
        turn.calls,
        key=lambda it: (it.span_id not in causes, not (it.error or it.span_id in noticed)),
    )
    chosen = {it.span_id for it in ranked[:_MAX_CALLS]}
    return [it for it in turn.calls if it.span_id in chosen]


def call_data(call: Call, turn: Turn, most: int) -> dict[str, Any]:
    """Return a call; without what the turn says already."""
    said = {turn.input.text, turn.output.text}
    return _without_empty(
        {
            "kind": call.kind,
            "name": call.name,
            "model": call.model,
            "span_id": call.span_id.hex(),
            "inside": call.parent_id.hex() if call.parent_id else "",
            "seconds": round(call.seconds, 3),
            "arguments": cut(call.arguments, most),
            "result": cut(call.result, most),
            "output": [_message(it, most) for it in call.output if it.text not in said],
            "documents": [cut(it.text, _MAX_LINE) for it in call.documents[:_MAX_DOCUMENTS]],
            "documents_left_out": max(0, len(call.documents) - _MAX_DOCUMENTS),
            "finish_reason": call.finish_reason,
            "tokens": call.tokens.total,
            "error": cut(call.error, most),
        }
    )


def moment(time: datetime | int) -> str:
    """Return a time, or nanoseconds since 1970, as ISO 8601 in seconds."""
    if isinstance(time, int):
        time = datetime.fromtimestamp(time / _SECOND).astimezone()
    return time.isoformat(timespec="seconds")


def _message(message: Message, most: int) -> dict[str, Any]:
    asked = [f"{it.name}({cut(it.arguments, _MAX_LINE)})" for it in message.tool_requests]
    text = cut(message.text, most)
    if not (text or asked or message.media):
        return {}
    return _without_empty(
        {
            "role": message.role,
            "text": text,
            "asks_for": asked,
            "attachments": [it.name or it.mime_type or it.kind for it in message.media],
        }
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 3)


def _without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: it for name, it in data.items() if it not in (None, "", [], {}, 0) or it is False}
