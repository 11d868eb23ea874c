"""Shows what the signals say about a session and its turns: friction, failure, where it broke."""

from collections.abc import Iterator, Sequence

import click

from clew.cli import _figures, _terminal
from clew.sessions.model import BadTurn, Turn
from clew.sessions.session import Session
from clew.sessions.signals.meanings import meaning, why
from clew.sessions.signals.weights import weights


def bad_turns(session: Session) -> Sequence[tuple[str, BadTurn]]:
    """Return the bad turns of a session that have a name, with it."""
    found = (("first bad turn", session.first_bad_turn), ("worst turn", session.worst_turn))
    return [(name, bad) for name, bad in found if bad is not None]


def score_lines(session: Session) -> Iterator[str]:
    """Yield what the signals say about a session, and where it broke."""
    if session.friction is None:
        yield click.style("friction, failure: not scored yet", dim=True)
        return
    friction, failure = map(_figures.likelihood, (session.friction, session.failure))
    yield f"friction {friction} · failure {failure} · outcome {_terminal.line(session.outcome)}"
    known = set[int]()
    for name, bad in bad_turns(session):
        if bad.turn not in known:
            known.add(bad.turn)
            words = f' "{_terminal.line(bad.words)}"' if bad.words else ""
            title = click.style(f"{name.capitalize()}: {bad.turn}", fg="red", bold=True)
            yield f"{title}, {why(bad)}{words}"


def likely(turn: Turn) -> Sequence[str]:
    """Return the figures of a turn that are so high that it is called bad."""
    found = []
    if turn.friction is not None and turn.friction >= weights().user.threshold:
        found.append(f"friction {_figures.likelihood(turn.friction)}")
    if turn.failure is not None and turn.failure >= weights().failure_threshold:
        found.append(f"failure {_figures.likelihood(turn.failure)}")
    return found


def noticed(turn: Turn) -> Iterator[str]:
    """Yield what was noticed in a turn that is bad, with the words that gave it away."""
    if not likely(turn):
        return
    for it in sorted(turn.findings, key=lambda it: -it.score):
        if it.name != "pleased":
            words = f': "{it.words}"' if it.words else ""
            yield f"{meaning(it.name)}{words}"
