"""Shows a conversation as text: who said what, what was done for it, and each turn's figures."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from clew.cli import _figures, _terminal
from clew.cli._breaks import where_it_broke
from clew.cli._calls import LONGEST, arguments_of, called_unseen, details_of, media_of, told
from clew.cli._scores import bad_turns, likely
from clew.core.wording import duration, number_of
from clew.sessions.model import Call, Message, Turn
from clew.sessions.session import Session

_ROLE = 11
"""How wide the column with the names of the speakers is."""
_COLOURS = {"user": "cyan", "assistant": "green", "system": "magenta", "tool": "yellow"}
_BRIEF = {"tool", "retrieval", "reranking", "guardrail", "agent"}
"""The kinds of calls that are shown in any case; the others if they failed, or in full."""


def conversation(session: Session, *, full: bool, width: int | None) -> Iterator[str]:
    """Yield the lines of a whole conversation."""
    yield from heading(session)
    if not len(session.turns):
        yield ""
        yield click.style(f"Nothing was said: {number_of(session.spans, 'span')}.", dim=True)
    shown = _Turns(full=full, width=width)
    named = {bad.turn: name for name, bad in reversed(bad_turns(session))}
    for number, turn in enumerate(session.turns, 1):
        yield ""
        yield from shown.lines(turn, f"Turn {number}", named.get(number, ""))
    if broke := list(where_it_broke(session, session.turns, width)):
        yield ""
        yield from broke


def heading(session: Session) -> Iterator[str]:
    """Yield what a conversation begins with: its ids, when it was, its figures."""
    name = click.style(f"Session {_terminal.line(session.id)}", bold=True)
    user = f" · user {_terminal.line(session.user_id)}" if session.user_id else ""
    others = f" and {number_of(session.users - 1, 'other')}" if session.users > 1 else ""
    yield f"{name}{user}{others}"
    yield f"{_period(session.first, session.last)} · {duration(session.seconds)}"
    parts = [number_of(len(session.turns), "turn"), number_of(session.model_calls, "model call")]
    if session.tokens.total is not None:
        parts.append(f"{number_of(session.tokens.total, 'token')}{_of_which(session.tokens)}")
    if session.cost is not None:
        parts.append(_figures.cost(session.cost))
    errors = number_of(session.errors, "error")
    parts.append(click.style(errors, fg="red") if session.errors else errors)
    if session.outcome != "unknown":
        parts.append(f"outcome {_terminal.line(session.outcome)}")
    yield " · ".join(parts)
    if used := [*session.models, *session.frameworks]:
        yield click.style(_terminal.line(", ".join(used)), dim=True)


def turn_lines(turn: Turn, title: str, *, full: bool, width: int | None) -> Iterator[str]:
    """Yield the lines of one turn, which stands alone."""
    yield from _Turns(full=full, width=width).lines(turn, title)


class _Turns:
    """Shows turns; what is the same in all of them, such as the system's prompt, once."""

    def __init__(self, *, full: bool, width: int | None) -> None:
        self._full = full
        self._width = width
        self._system = ""

    def lines(self, turn: Turn, title: str, named: str = "") -> Iterator[str]:
        """Yield the lines of a turn; *named* is what it is called, such as the worst turn."""
        yield _turn_heading(turn, title, named)
        if self._full:
            yield from self._new_system_prompt(turn)
        if _is_said(turn.input):
            yield from self._message(turn.input)
        shown_errors = set[str]()
        for call, depth in _nested(turn.calls):
            if call.error:
                shown_errors.add(call.error)
            if self._full or call.kind in _BRIEF or call.error:
                yield from self._call(call, depth, turn)
            yield from self._unseen(call, depth, turn)
        if _is_said(turn.output):
            yield from self._message(turn.output)
        elif not turn.error:
            yield self._row("", click.style("(no answer)", dim=True))
        if turn.error and not any(turn.error in it or it in turn.error for it in shown_errors):
            yield from self._text("error", turn.error, "red")

    def _unseen(self, call: Call, depth: int, turn: Turn) -> Iterator[str]:
        """Yield the tools that a model asked for, and that nothing else was recorded of."""
        for asked in called_unseen(call, turn):
            text = f"{'  ' * depth}{_terminal.line(asked)}"
            room = None if self._width is None else self._width - _ROLE - 2
            text = text if room is None else _terminal.fit(text, room)
            yield self._row(click.style("tool", dim=True), text)

    def _new_system_prompt(self, turn: Turn) -> Iterator[str]:
        for call in turn.calls:
            for message in call.input:
                if message.role == "system" and message.text and message.text != self._system:
                    self._system = message.text
                    yield from self._message(message)

    def _message(self, message: Message) -> Iterator[str]:
        if self._full and message.reasoning:
            yield from self._text("thinking", message.reasoning, "", dim=True)
        said = [message.text] if message.text else []
        said += [f"[{media_of(it.kind, it.name, it.mime_type, it.url)}]" for it in message.media]
        said += [
            f"[asks for {it.name}({arguments_of(it.arguments)})]" for it in message.tool_requests
        ]
        yield from self._text(message.role, "\n".join(said), _COLOURS.get(message.role, ""))

    def _text(self, role: str, text: str, colour: str, *, dim: bool = False) -> Iterator[str]:
        room = None if self._width is None else self._width - _ROLE - 2
        for index, part in enumerate(_terminal.wrapped(text, room)):
            name = _terminal.fit(_terminal.line(role), _ROLE - 1) if index == 0 else ""
            label = click.style(name, fg=colour, bold=True) if colour and name else name
            yield self._row(label, click.style(part, dim=True) if dim and part else part)

    def _row(self, label: str, text: str) -> str:
        return f"  {_terminal.pad(label, _ROLE)}{text}".rstrip()

    def _call(self, call: Call, depth: int, turn: Turn) -> Iterator[str]:
        indent = "  " * depth
        took = duration(call.seconds)
        label, what = told(call)
        if self._full and call.kind != "model":
            what = call.name  # The rest comes below.
        if call.kind == "model" and call.tokens.total is not None:
            took = f"{took}, {number_of(call.tokens.total, 'token')}"
        text = f"{indent}{_terminal.line(what[:LONGEST])}"
        if self._width is not None:
            text = _terminal.fit(text, max(self._width - _ROLE - 4 - len(took), 12))
        yield self._row(click.style(label, dim=True), f"{text}  {click.style(took, dim=True)}")
        if self._full:
            yield from self._details(call, indent, turn)
        if call.error:
            room = None if self._width is None else self._width - _ROLE - 2 - len(indent)
            for part in _terminal.wrapped(call.error, room):
                yield self._row("", f"{indent}{click.style(part, fg='red')}")

    def _details(self, call: Call, indent: str, turn: Turn) -> Iterator[str]:
        for name, text in details_of(call, turn):
            room = None if self._width is None else self._width - _ROLE - 4 - len(indent)
            yield self._row("", click.style(f"{indent}  {name}:", dim=True))
            for part in _terminal.wrapped(text, None if room is None else room - 2):
                yield self._row("", f"{indent}    {part}")


def _turn_heading(turn: Turn, title: str, named: str = "") -> str:
    parts = [f"{turn.started:%H:%M:%S}", duration(turn.seconds)]
    if turn.time_to_first_token is not None:
        parts.append(f"first token after {duration(turn.time_to_first_token)}")
    if turn.tokens.total is not None:
        parts.append(number_of(turn.tokens.total, "token"))
    if turn.cost is not None:
        parts.append(_figures.cost(turn.cost))
    if turn.models:
        parts.append(_terminal.line(", ".join(turn.models)))
    marked = "".join(f" · {click.style(it, fg='red')}" for it in likely(turn))
    if named:
        marked += f" · {click.style(named, fg='red', bold=True)}"
    failed = f" · {click.style(number_of(turn.errors, 'error'), fg='red')}" if turn.errors else ""
    figures = click.style(" · ".join(parts), dim=True)
    return f"{click.style(title, bold=True)} · {figures}{failed}{marked}"


def _nested(calls: Sequence[Call]) -> Iterator[tuple[Call, int]]:
    """Yield each call with the number of calls around it that are shown."""
    depths: dict[bytes, int] = {}
    for call in calls:
        outside = depths.get(call.parent_id, 0) if call.parent_id is not None else 0
        depths[call.span_id] = outside + (call.kind in _BRIEF)
        yield call, outside


def _is_said(message: Message) -> bool:
    return bool(message.text or message.media or message.tool_requests)


def _of_which(tokens: Any) -> str:
    parts: Iterable[str] = (
        f"{value:,} {name}"
        for name, value in (("cached", tokens.cached), ("reasoning", tokens.reasoning))
        if value
    )
    text = ", ".join(parts)
    return f" ({text})" if text else ""


def _period(first: datetime, last: datetime) -> str:
    begin = f"{first:%Y-%m-%d %H:%M:%S}"
    if first.date() == last.date():
        same = f"{first:%H:%M}" == f"{last:%H:%M}"
        return begin if same else f"{begin} to {last:%H:%M:%S}"
    return f"{begin} to {last:%Y-%m-%d %H:%M:%S}"
