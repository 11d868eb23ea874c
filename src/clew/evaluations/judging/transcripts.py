"""Writes a conversation as text for a model that judges it: quoted, so that it stays data."""

from collections.abc import Iterator
from typing import NamedTuple

from clew.sessions.model import Call, Message, Turn

_CHARACTERS_PER_TOKEN = 4
_NOTE = 50
"""About how many characters it takes to say that something is left out."""
_SHOWN = {"tool", "retrieval", "guardrail", "reranking"}
"""The kinds of calls of which a judge is told; of the others if they failed."""
_ROLES = {"user", "assistant", "system", "tool"}


class Limits(NamedTuple):
    """How much of a turn is shown, where not everything fits."""

    text: int
    """How many tokens of one text."""
    turn: int
    """How many tokens of one turn, about."""
    parts: int
    """How many texts of one turn."""


class Text(NamedTuple):
    """Lines for a judge, and what of the conversation was left out in them."""

    lines: str
    left_out: int = 0
    """How many characters of the texts that are shown."""
    shortened: int = 0
    """How many texts were shortened."""
    omitted: int = 0
    """How many texts are not shown at all."""

    @property
    def tokens(self) -> int:
        """About how many tokens the lines are, rather too many than too few."""
        return estimated_tokens(self.lines)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few.

    A token has about four letters in English. In scripts with other letters it may have only one.
    """
    ascii_only = len(text.encode("ascii", "ignore"))
    return -(-ascii_only // _CHARACTERS_PER_TOKEN) + len(text) - ascii_only


def turn_text(turn: Turn, number: int, limits: Limits | None = None) -> Text:
    """Return one turn as quoted lines, its longest texts shortened to keep to *limits*."""
    return _joined(list(_parts(turn, number)), limits, f"turn {number}")


def instructions_text(text: str, limits: Limits | None = None) -> Text:
    """Return what the assistant was told to be and do, as quoted lines."""
    return _joined([("instructions of the assistant", text)], limits, "instructions")


def instructions_of(turn: Turn) -> str:
    """Return the system's messages to the models of a turn; empty if there are none."""
    found = (
        message.text
        for call in turn.calls
        for message in call.input
        if message.role == "system" and message.text
    )
    return "\n\n".join(dict.fromkeys(found))


def shortened(text: str, longest: int) -> str:
    """Return *text*; if it is too long, without its middle, and with how much is left out."""
    left_out = len(text) - longest
    if left_out <= _NOTE:  # To say so would take as much.
        return text
    end = longest // 3
    begin = longest - end
    note = f" [... {left_out:,} characters are left out ...] "
    return f"{text[:begin]}{note}{text[len(text) - end :]}"


def _joined(parts: list[tuple[str, str]], limits: Limits | None, where: str) -> Text:
    omitted = 0
    if limits is not None and len(parts) > limits.parts:
        omitted = len(parts) - limits.parts
        middle = limits.parts // 2
        parts[middle : middle + omitted] = [(f"{where}, {omitted:,} steps are left out", "")]
    lines: list[str] = []
    left_out = number = 0
    for heading, text in parts:
        lines.append(f"[{heading}]")
        if limits is None:
            lines += quoted(text)
            continue
        longest = _longest(text, min(limits.text, limits.turn // len(parts)))
        shown = shortened(text, longest)
        if shown != text:
            left_out += len(text) - longest
            number += 1
        lines += quoted(shown)
    return Text("\n".join(lines), left_out, number, omitted)


def _longest(text: str, tokens: int) -> int:
    """Return how many characters of *text* are about so many tokens."""
    return len(text) * tokens // max(tokens, estimated_tokens(text), 1)


def quoted(text: str) -> list[str]:
    """Return the lines of a text with a ``>`` before each, so that none looks like another part.

    What local servers take for the marks between messages (``<|im_end|>``) is taken apart.
    """
    readable = text.encode("utf-8", "replace").decode().replace("<|", "< |").replace("|>", "| >")
    return [f"> {line}".rstrip() for line in readable.splitlines()]


def _parts(turn: Turn, number: int) -> Iterator[tuple[str, str]]:
    """Yield what is to be read of a turn, each with a heading of clew's own words."""
    if said := _said(turn.input):
        yield f"turn {number}, {_role(turn.input, 'user')}", said
    for call in turn.calls:
        if call.kind in _SHOWN or call.error:
            yield from _call(call, number)
    if said := _said(turn.output):
        yield f"turn {number}, {_role(turn.output, 'assistant')}", said
    else:
        yield f"turn {number}, no answer", ""
    if turn.error and not any(turn.error == call.error for call in turn.calls):
        yield f"turn {number}, error", turn.error


def _call(call: Call, number: int) -> Iterator[tuple[str, str]]:
    arguments = f" {call.arguments}" if call.arguments else ""
    yield f"turn {number}, call of a {call.kind}", f"{call.name}{arguments}"
    if call.result:
        yield f"turn {number}, result of the {call.kind}", call.result
    if call.documents:
        for document in call.documents:
            yield f"turn {number}, document found", document.text
    if call.error:
        yield f"turn {number}, error of the {call.kind}", call.error


def _said(message: Message) -> str:
    said = [message.text] if message.text else []
    said += [f"({it.kind} {it.name})".replace(" )", ")") for it in message.media]
    said += [f"(asks for {it.name} {it.arguments})" for it in message.tool_requests]
    return "\n".join(said)


def _role(message: Message, usual: str) -> str:
    return message.role if message.role in _ROLES else usual
