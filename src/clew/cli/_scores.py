"""Tells which turns of a conversation are bad, for their headings."""

from collections.abc import Sequence

from clew.cli import _figures
from clew.sessions.model import BadTurn, Turn
from clew.sessions.session import Session
from clew.sessions.signals.weights import weights


def bad_turns(session: Session) -> Sequence[tuple[str, BadTurn]]:
    """Return the bad turns of a session that have a name, with it."""
    found = (("first bad turn", session.first_bad_turn), ("worst turn", session.worst_turn))
    return [(name, bad) for name, bad in found if bad is not None]


def likely(turn: Turn) -> Sequence[str]:
    """Return the figures of a turn that are so high that it is called bad."""
    found = []
    if turn.friction is not None and turn.friction >= weights().user.threshold:
        found.append(f"friction {_figures.likelihood(turn.friction)}")
    if turn.failure is not None and turn.failure >= weights().failure_threshold:
        found.append(f"failure {_figures.likelihood(turn.failure)}")
    return found
