"""TurnFinding: one thing that a signal has noticed in a turn."""

from dataclasses import dataclass

from clew.sessions.failures import NOT_SAID


@dataclass(frozen=True, slots=True)
class TurnFinding:
    """One thing that a signal has noticed in a turn."""

    turn: int
    """The number of the turn in the conversation, from 0."""
    name: str
    """The signal, such as ``corrects``."""
    score: float
    """How strong it is: more than 0, at most 1."""
    span_id: bytes
    """The span that it speaks of: the call that failed, or the one that gave the answer."""
    words: str = ""
    """What gave it away, in the words of the conversation, shortened."""


_MAX_WORDS = 200


def shortened(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 2 * _MAX_WORDS].split())
    return line if len(line) <= _MAX_WORDS else line[: _MAX_WORDS - 1] + "…"


def said_by(error: str) -> str:
    """Return the beginning of an error's message; nothing if it has none, which nobody said."""
    return "" if error == NOT_SAID else shortened(error)
