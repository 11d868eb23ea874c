"""Describes what was done for a turn: calls of models, tools and retrievals."""

import json
from collections.abc import Iterator
from typing import Any

from clew.cli import _terminal
from clew.core.wording import number_of
from clew.sessions.model import Call, Turn

LONGEST = 500
"""How many characters of anything are considered for one line."""


def told(call: Call) -> tuple[str, str]:
    """Return a call in a word and in a line."""
    match call.kind:
        case "tool":
            return "tool", f"{call.name}({arguments_of(call.arguments)}){_result(call.result)}"
        case "retrieval" | "reranking":
            asked = f" {_short(call.arguments)!r}" if call.arguments else ""
            found = number_of(len(call.documents), "document")
            return call.kind, f"{call.name}{asked} → {found}"
        case "model":
            return "model", call.model or call.name
        case _:
            return call.kind, call.name


def called_unseen(call: Call, turn: Turn) -> Iterator[str]:
    """Yield the tools that the model of this *call* asked for and that have no call of their own.

    The application called them without a span. What they returned was sent to the model.
    """
    seen = {it.name for it in turn.calls if it.kind == "tool"}
    for request in (asked for message in call.output for asked in message.tool_requests):
        if request.name in seen:
            continue
        returned = (
            message.text
            for later in turn.calls
            for message in later.input
            if message.role == "tool" and request.id and message.tool_request_id == request.id
        )
        result = next(returned, "")
        yield f"{request.name}({arguments_of(request.arguments)}){_result(result)}"


def details_of(call: Call, turn: Turn) -> Iterator[tuple[str, str]]:
    """Yield what belongs to a call, each with its name."""
    if call.arguments:
        yield ("asked for" if call.kind == "retrieval" else "arguments"), _pretty(call.arguments)
    if call.result:
        yield "result", _pretty(call.result)
    for number, document in enumerate(call.documents, 1):
        score = f", score {document.score:.3g}" if document.score is not None else ""
        name = f" {document.id}" if document.id else ""
        yield f"document {number}{name}{score}", document.text
    if call.kind == "model":
        for message in call.output:
            for request in message.tool_requests:
                yield f"asks for {request.name}", _pretty(request.arguments)
            if message.text and message.text != turn.output.text:
                yield "answers", message.text


def _result(text: str) -> str:
    return f" → {_short(text)}" if text else ""


def arguments_of(text: str) -> str:
    """Return a tool's arguments as Python would write them, or the text where it is no object."""
    value = _parsed(text)
    if not isinstance(value, dict):
        return _short(text)
    return ", ".join(f"{name}={json.dumps(it, ensure_ascii=False)}" for name, it in value.items())


def _pretty(text: str) -> str:
    value = _parsed(text)
    if isinstance(value, (dict, list)):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _short(text: str) -> str:
    return _terminal.line(text[:LONGEST])


def media_of(kind: str, name: str, mime_type: str, url: str) -> str:
    place = "" if url.startswith("data:") else url
    return " ".join(filter(None, (kind, name or place or mime_type)))
