"""Answers that people wrote for a recording, where no real provider can be asked.

They stand in ``written/``, a file for each example: what the last message has to hold (`to`), what
was said before it where that is not enough (`earlier`), and the text that is said (`text`), the
tools that are called (`calls`), or the fields that DSPy asks for (`fields`).
"""

import re
import tomllib
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.providers.answers import Question, Written

FOLDER = Path(__file__).parent / "written"
_DIMENSIONS = 64
_SHORTEST_WORD = 4


def written_for(name: str) -> Callable[[Question], Written]:
    """Return what finds the answers that were written for the example of that *name*."""
    file = FOLDER / f"{name}.toml"
    answers: list[dict[str, Any]] = tomllib.loads(file.read_text())["answer"]

    def find(question: Question) -> Written:
        last = question.turns[-1][1] if question.turns else question.user
        for one in answers:
            if (
                all(it in last for it in one["to"])
                and one.get("earlier", "") in question.transcript
            ):
                calls = tuple((it["name"], it["arguments"]) for it in one.get("calls", ()))
                return Written(_on_one_line(one.get("text", "")), calls, one.get("fields"))
        message = f"{file} holds no answer to: {last}"
        raise LookupError(message)

    return find


def by_words(text: str, _dimensions: int) -> list[float]:
    """Return a vector that is the closer to another one's, the more words they have in common."""
    counts = [0.0] * _DIMENSIONS
    for word in set(re.findall(r"\w+", text.lower())):
        if len(word) >= _SHORTEST_WORD:
            counts[crc32(word.encode()) % _DIMENSIONS] += 1
    length = sqrt(sum(it * it for it in counts)) or 1.0
    return [round(it / length, 6) for it in counts]


def _on_one_line(text: str) -> str:
    """Take out how a long text is wrapped in the file."""
    return " ".join(text.split())
