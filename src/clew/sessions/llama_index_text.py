"""Messages as Python shows them, which is how LlamaIndex records those of a call that failed."""

import re
from ast import literal_eval

from clew.sessions.json_values import storable
from clew.sessions.model import Message

_MESSAGE = re.compile(r"ChatMessage\(role=<MessageRole\.\w+: '(\w+)'>")
_TEXT = re.compile(r"TextBlock\(block_type='text', text=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def message(shown: str) -> Message | None:
    """Return the message that *shown* is; None if it is another text."""
    role = _MESSAGE.match(shown)
    if role is None:
        return None
    try:
        text = "\n".join(map(literal_eval, _TEXT.findall(shown)))
    except (ValueError, SyntaxError):  # It only looks like what Python shows.
        return None
    return Message(role[1], storable(text))
