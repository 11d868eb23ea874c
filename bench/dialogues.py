"""Reads labelled conversations, one JSON object a line, as clew's turns.

A line is ``{"set", "id", "turns": [{"role", "text", "name"?, "tool_calls"?, "satisfaction"?,
"breakdown"?}], "mistake"?}``. Each message is a span whose id is its number, so that what
clew points at can be compared with the message that people pointed at.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.sessions.model import Call, Message, Turn

DISSATISFIED = 2.75
_SATISFIED = 3.5
BREAKDOWN = 0.5
_USERS = ("user", "human")


@dataclass(slots=True)
class Label:
    """What people said about a turn: the user in it, or its answer."""

    turn: int
    side: str
    bad: bool
    degree: float
    """How bad, to compare the turns of one conversation."""
    soft: float
    """The same from 0 to 1, to learn from."""


@dataclass(slots=True)
class Dialogue:
    """A conversation, with what people said about it."""

    set: str
    id: str
    turns: list[Turn]
    labels: list[Label] = field(default_factory=list)
    mistake: int | None = None
    """The message in which several agents have gone wrong."""
    messages: int = 0
    solved: bool | None = None


def dialogues(folder: Path) -> Iterator[Dialogue]:
    """Yield all conversations of a folder."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        message = f"there are no .jsonl files in {folder}"
        raise SystemExit(message)
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield _dialogue(json.loads(line))


def span(number: int) -> bytes:
    """Return the id of the span that a message is."""
    return (number + 1).to_bytes(8, "big")


def number(span_id: bytes) -> int:
    """Return the number of the message that a span is."""
    return int.from_bytes(span_id, "big") - 1


def _dialogue(said: dict[str, Any]) -> Dialogue:
    found = Dialogue(said["set"], str(said["id"]), [], messages=len(said["turns"]))
    if "solved" in said:
        found.solved = bool(said["solved"])
    if "mistake" in said:
        found.mistake = int(said["mistake"]["step"])
        found.turns.append(_of_agents(said["turns"]))
        return found
    parts: list[list[tuple[int, dict[str, Any]]]] = []
    for at, message in enumerate(said["turns"]):
        if message["role"] == "system":
            continue
        if message["role"] in _USERS or not parts:
            parts.append([])
        parts[-1].append((at, message))
        label = _label(message)
        if label is not None:
            label.turn = len(parts) - 1
            found.labels.append(label)
    found.turns = [_turn(part) for part in parts]
    return found


def _label(message: dict[str, Any]) -> Label | None:
    if "satisfaction" in message:
        value = message["satisfaction"]
        bad = value < DISSATISFIED
        degree = min(1.0, max(0.0, (_SATISFIED - value) / 1.5))
        return Label(0, "user", bad, -value, (degree + bad) / 2)
    if "breakdown" in message:
        value = message["breakdown"]["X"]
        bad = value > BREAKDOWN
        return Label(0, "answer", bad, value, (value + bad) / 2)
    return None


def _turn(part: list[tuple[int, dict[str, Any]]]) -> Turn:
    first, opening = part[0]
    asked = opening["text"] if opening["role"] in _USERS else ""
    answers = [it["text"] for _, it in part if it["role"] == "assistant" and it["text"]]
    requests = {
        request["id"]: request
        for _, it in part
        for request in it.get("tool_calls") or ()
        if request
    }
    calls = []
    for at, it in part:
        if it["role"] == "assistant":
            last = it["text"] == (answers[-1] if answers else "")
            text = "\n".join(answers) if last else it["text"]
            calls.append(_call("model", "", at, output=(Message("assistant", text),)))
        elif it["role"] == "tool":
            request = requests.get(it.get("tool_call_id"), {})
            name = it.get("name") or request.get("name") or ""
            arguments = request.get("arguments") or ""
            arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
            calls.append(_call("tool", name, at, arguments=arguments, result=it["text"] or ""))
    return Turn(
        session_id="s",
        trace_id=bytes(15) + b"1",
        root_id=span(first),
        user_id="",
        start=first * 10**9,
        end=(part[-1][0] + 1) * 10**9,
        input=Message("user", asked),
        output=Message("assistant", "\n".join(answers)),
        calls=tuple(calls),
    )


def _of_agents(messages: list[dict[str, Any]]) -> Turn:
    """Return a log of several agents as one turn: each message is a call of one of them."""
    calls = []
    for at, it in enumerate(messages):
        name = it.get("name") or it["role"]
        if "terminal" in name.lower():
            asked = messages[at - 1]["text"] if at else ""
            calls.append(_call("tool", name, at, arguments=asked, result=it["text"]))
        else:
            output = (Message("assistant", it["text"]),)
            calls.append(_call("model", name, at, output=output))
    return Turn(
        session_id="s",
        trace_id=bytes(15) + b"1",
        root_id=span(0),
        user_id="",
        start=0,
        end=len(messages) * 10**9,
        input=Message("user", ""),
        output=Message("assistant", messages[-1]["text"]),
        calls=tuple(calls),
    )


def _call(kind: Any, name: str, at: int, **others: Any) -> Call:
    return Call(kind, name, span(at), None, at * 10**9, (at + 1) * 10**9, **others)
