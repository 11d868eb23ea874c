"""Finds the answers that people wrote for recordings without a real provider.

They are in ``written/``, a file for each example. Each has texts of the last message (`to`), and if
needed of one before it (`earlier`), for which it is the answer: a text (`text`), tool calls
(`calls`), or the fields that DSPy asks for (`fields`).
"""

import re
import tomllib
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.support.providers.answers import Question, Written

FOLDER = Path(__file__).parent / "written"
_DIMENSIONS = 64
_SHORTEST_WORD = 4


def written_for(name: str) -> Callable[[Question], Written]:
    """Return a function that finds the answers written for the example *name*."""
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


def word_vector(text: str, _dimensions: int) -> list[float]:
    """Return a vector: the more words two texts share, the closer their vectors are."""
    counts = [0.0] * _DIMENSIONS
    for word in set(re.findall(r"\w+", text.lower())):
        if len(word) >= _SHORTEST_WORD:
            counts[crc32(word.encode()) % _DIMENSIONS] += 1
    length = sqrt(sum(it * it for it in counts)) or 1.0
    return [round(it / length, 6) for it in counts]


def _on_one_line(text: str) -> str:
    """Remove the line breaks of a long text in the file."""
    return " ".join(text.split())
