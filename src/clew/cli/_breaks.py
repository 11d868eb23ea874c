"""Shows where a conversation broke: the first bad turn, what gave it away, what caused it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import click

from clew.cli import _terminal
from clew.sessions.model import BadTurn, Turn

_MARGIN = 2
_LABEL = 11
_MOST_SIGNALS = 4


class Scored(Protocol):
    """What the signals say about a conversation; a `Session` has it."""

    @property
    def friction(self) -> float | None: ...
    @property
    def failure(self) -> float | None: ...
    @property
    def first_bad_turn(self) -> BadTurn | None: ...
    @property
    def worst_turn(self) -> BadTurn | None: ...


def where_it_broke(told: Scored, turns: Sequence[Turn], width: int | None) -> Iterator[str]:
    """Yield lines about the first bad turn, and the worst one; none, if nothing is known yet."""
    if told.friction is None or told.failure is None:
        return
    figures = f"friction {told.friction:.2f} · failure {told.failure:.2f}"
    first, worst = told.first_bad_turn, told.worst_turn
    if first is None:
        yield click.style(f"No bad turn · {figures}", dim=True)
        return
    title = click.style(f"Breaks in turn {first.turn}", bold=True)
    yield f"{title} · {click.style(figures, dim=True)}"
    yield from _lines(first, "first bad", turns, width)
    if worst is not None and worst.turn != first.turn:
        yield from _lines(worst, "worst", turns, width)


def _lines(bad: BadTurn, label: str, turns: Sequence[Turn], width: int | None) -> Iterator[str]:
    turn = turns[bad.turn - 1]
    said = turn.input.text or turn.error or turn.output.text
    room = None if width is None else width - _LABEL - _MARGIN
    about = f"turn {bad.turn} · {bad.kind} {bad.score:.2f}"
    yield _row(label, f"{click.style(about, fg='red')} · {_terminal.line(said)}", room)
    signals = ", ".join(bad.signals[:_MOST_SIGNALS])
    words = f'"{_terminal.line(bad.words)}" ' if bad.words else ""
    yield _row("told by", f"{words}({signals})", room)
    yield _row("caused by", _cause(bad, turns), room)


def _cause(bad: BadTurn, turns: Sequence[Turn]) -> str:
    """Return which call is to blame: the one that failed, or the one that annoyed."""
    for turn in turns[max(0, bad.turn - 2) : bad.turn]:
        for call in turn.calls:
            if call.span_id != bad.cause_id:
                continue
            answer = next((it.text for it in call.output if it.text), "")
            asked = ", ".join(it.name for message in call.output for it in message.tool_requests)
            did = answer or (f"asks for {asked}" if asked else call.error or call.result)
            text = f": {_terminal.line(did)}" if did and _terminal.line(did) != bad.words else ""
            return f"{call.kind} {_terminal.line(call.name)} (span {bad.cause_id.hex()}){text}"
    return f"span {bad.cause_id.hex()}"


def _row(label: str, text: str, room: int | None) -> str:
    shown = text if room is None else _terminal.fit(text, room)
    return f"{' ' * _MARGIN}{_terminal.pad(click.style(label, dim=True), _LABEL)}{shown}"
