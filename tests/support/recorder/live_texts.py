"""Texts of the provider server for an example with --live: a tool's result, or a small model's.

A model of 135 million parameters calls no tools and follows no format. The provider server does
both, but has only fixed texts; so the model writes the texts.
"""

import re
from collections.abc import Callable, Iterable

from tests.support.providers.answers import Question

Turns = Iterable[dict[str, str]]
"""Messages in OpenAI's chat format."""
Chat = Callable[[Turns], str]
"""Asks a model; returns its answer."""
_OBSERVED = re.compile(r"\[\[ ## observation_0 ## \]\]\s*(.*?)\s*\[\[", re.DOTALL)


class LiveTexts:
    """Makes the text of an answer."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def __call__(self, question: Question, wanted: str) -> str:
        """Return a tool's result, if there is one; else ask the model."""
        if wanted != "answer":
            return f"The {wanted} comes from {question.model}."
        if found := _OBSERVED.search(question.user):
            return found[1]
        if question.answered:
            return _sentence(question.turns[-1][1])
        # The model knows no tools, so their results would confuse it.
        texts = (it for it in question.turns if it[1] and it[0] != "tool")
        return self._chat({"role": role, "content": text} for role, text in texts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
