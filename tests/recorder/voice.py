"""What the provider server says to an example with --live: what a tool said, or a small model.

A model of 135 million parameters calls no tools and keeps to no form. The provider server does both
and has no words of its own; so each does what it can.
"""

import re
from collections.abc import Callable, Iterable

from tests.providers.answers import Question

Turns = Iterable[dict[str, str]]
"""Who said what, as OpenAI's chat format has it."""
Chat = Callable[[Turns], str]
"""Ask a model; return what it says."""
_OBSERVED = re.compile(r"\[\[ ## observation_0 ## \]\]\s*(.*?)\s*\[\[", re.DOTALL)


class Voice:
    """Finds words for an answer."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def __call__(self, question: Question, wanted: str) -> str:
        """Say what a tool found out, if one did; ask the model for other answers."""
        if wanted != "answer":
            return f"The {wanted} comes from {question.model}."
        if found := _OBSERVED.search(question.user):
            return found[1]
        if question.answered:
            return _sentence(question.turns[-1][1])
        # A model that knows of no tools would stumble over what they said.
        said_in_words = (it for it in question.turns if it[1] and it[0] != "tool")
        return self._chat({"role": role, "content": said} for role, said in said_in_words)


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:].rstrip('.')}."
