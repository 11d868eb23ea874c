"""Conversations for the tests of signals: turns from texts, and calls."""

from typing import Any

from clew.sessions.model import Call, CallKind, Message, Turn
from clew.sessions.signals.conversation import read
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.signals import SIGNALS, findings
from clew.sessions.signals.usual import Usual


def turn(asked: str = "", answered: str = "", number: int = 0, **others: Any) -> Turn:
    """Return a turn in which this was said."""
    others.setdefault("end", number * 10**9 + 10**9)
    return Turn(
        session_id="s",
        trace_id=b"t" * 16,
        root_id=number.to_bytes(8, "big"),
        user_id="",
        start=number * 10**9,
        input=Message("user", asked),
        output=Message("assistant", answered),
        **others,
    )


def conversation(*said: tuple[str, str]) -> list[Turn]:
    """Return turns from pairs of what was asked and what was answered."""
    return [turn(asked, answered, number) for number, (asked, answered) in enumerate(said)]


def call(kind: CallKind, span: bytes, name: str = "", **others: Any) -> Call:
    """Return a call that took a second."""
    return Call(
        **{"kind": kind, "name": name, "span_id": span, "parent_id": None, "start": 0, "end": 10**9}
        | others
    )


def found(name: str, *turns: Turn, usual: Usual | None = None) -> list[TurnFinding]:
    """Return what one signal finds in a conversation."""
    return list(SIGNALS[name](read(turns, usual)))


def said_by_user(name: str, text: str, before: tuple[str, str] = ("Hello", "Hi")) -> float:
    """Return how strongly a signal finds something in what a user says, 0 if it does not."""
    several = conversation(before, (text, ""))
    return max((it.score for it in found(name, *several) if it.turn == 1), default=0.0)


def names(*turns: Turn) -> set[str]:
    """Return the names of all signals that find something."""
    return {it.name for it in findings(read(turns))}
