"""Sessions and turns as plain data, for JSON. The keys do not change between releases."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from clew.sessions.model import Turn
from clew.sessions.session import Session

_TIMES = {"start", "end"}


def session_data(session: Session, *, turns: bool = False) -> dict[str, Any]:
    """Return a session's figures, and with *turns* all that was said and done in it."""
    data = {**_plain(session, without="turns"), "turns": len(session.turns)}
    if turns:
        data["conversation"] = [turn_data(turn) for turn in session.turns]
    return data


def turn_data(turn: Turn) -> dict[str, Any]:
    """Return a turn with its messages and calls."""
    return {**_plain(turn), "seconds": turn.seconds}


def _plain(value: Any, without: str = "") -> Any:
    if is_dataclass(value):
        return {
            _key(field.name): _plain(getattr(value, field.name))
            for field in fields(value)
            if field.name != without
        }
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return None  # JSON has no NaN and no infinity.
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _key(name: str) -> str:
    return f"{name}_ns" if name in _TIMES else name
