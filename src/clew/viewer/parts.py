"""The texts of a turn, each with a name, so that a page can ask for one of them.

The names are ``input``, ``output``, ``error``, and for the call with the number 3:
``call.3.arguments``, ``call.3.result``, ``call.3.error``, ``call.3.input.0``, ``call.3.output.0``
and ``call.3.document.0``. Where a message is named, ``.reasoning`` may follow, and ``.request.0``
for the arguments of a tool that it asks for.
"""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

from clew.sessions.model import Call, Message, Turn

Thing = TypeVar("Thing")
_BYTES_OF_TRACE, _BYTES_OF_SPAN = 16, 8
_MOST_DIGITS = 9


def turn_key(turn: Turn) -> str:
    """Return what names a turn in addresses."""
    return f"{turn.trace_id.hex()}-{turn.root_id.hex()}"


def parse_turn_key(key: str) -> tuple[bytes, bytes]:
    """Return the ids of the trace and of the root in *key*; raise LookupError if it is none."""
    trace, _, root = key.partition("-")
    return parse_id(trace, _BYTES_OF_TRACE), parse_id(root, _BYTES_OF_SPAN)


def parse_id(text: str, length: int = _BYTES_OF_SPAN) -> bytes:
    """Return the id that *text* is in hexadecimal; raise LookupError if it is none."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != length:
        message = f"{text[:80]!r} is no id"
        raise LookupError(message)
    return found


def content_href(turn: Turn, part: str) -> str:
    """Return the address of the page with all of one text."""
    return f"/content?{urlencode({'turn': turn_key(turn), 'text': part})}"


def text_of(turn: Turn, part: str) -> str:
    """Return the text with this name; raise LookupError if there is none."""
    words = part.split(".")
    match words:
        case ["input" | "output" as which, *rest]:
            return _of_message(turn.input if which == "input" else turn.output, rest)
        case ["error"]:
            return turn.error
        case ["call", index, *rest]:
            return _of_call(_at(turn.calls, index), rest)
    raise _unknown(part)


def is_markdown(turn: Turn, part: str) -> bool:
    """Whether the text with this name was said by a person or a model."""
    words = part.split(".")
    if "request" in words:
        return False
    if words[0] in {"input", "output"}:
        return True
    if len(words) > 3 and words[2] in {"input", "output"}:
        call = _at(turn.calls, words[1])
        messages = call.input if words[2] == "input" else call.output
        return _at(messages, words[3]).role != "tool"
    return False


def _of_call(call: Call, words: list[str]) -> str:
    match words:
        case ["arguments"]:
            return call.arguments
        case ["result"]:
            return call.result
        case ["error"]:
            return call.error
        case ["document", index]:
            return _at(call.documents, index).text
        case ["input", index, *rest]:
            return _of_message(_at(call.input, index), rest)
        case ["output", index, *rest]:
            return _of_message(_at(call.output, index), rest)
    raise _unknown(".".join(words))


def _of_message(message: Message, words: list[str]) -> str:
    match words:
        case []:
            return message.text
        case ["reasoning"]:
            return message.reasoning
        case ["request", index]:
            return _at(message.tool_requests, index).arguments
    raise _unknown(".".join(words))


def _at(things: Sequence[Thing], index: str) -> Thing:
    if not index.isdecimal() or len(index) > _MOST_DIGITS or int(index) >= len(things):
        raise _unknown(index)
    return things[int(index)]


def _unknown(part: str) -> LookupError:
    return LookupError(f"there is no text {part[:80]!r} in this turn")
