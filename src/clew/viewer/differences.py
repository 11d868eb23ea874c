"""What is different between two texts, word by word; and between two figures."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from clew.viewer.contents import visible

MAX_MARKED = 6_000
"""Characters up to which the differences within a text are marked."""
_MOST_WORDS = 300
"""Words up to which each is compared; of longer texts, sentences and lines are."""
_MINUS = "\N{MINUS SIGN}"
_TWICE = 2
"""From here on it is said how many times as much it is, and below how many percent more."""
_WORDS = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_SENTENCES = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and whether the other text lacks it."""

    text: str
    only_here: bool = False


def marked(left: str, right: str) -> tuple[list[Piece], list[Piece]] | None:
    """Return both texts in pieces; None if they are too long to be compared."""
    if max(len(left), len(right)) > MAX_MARKED:
        return None
    words = _WORDS.findall(left), _WORDS.findall(right)
    if max(map(len, words)) > _MOST_WORDS:
        words = _SENTENCES.findall(left), _SENTENCES.findall(right)
    found: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, a1, a2, b1, b2 in SequenceMatcher(None, *words).get_opcodes():
        for side, part in enumerate((words[0][a1:a2], words[1][b1:b2])):
            found[side].extend(_pieces("".join(part), only_here=kind != "equal"))
    return found


def _pieces(text: str, *, only_here: bool) -> Iterator[Piece]:
    """Yield *text*; the space after it is not marked."""
    words = text.rstrip() if only_here else text
    if words:
        yield Piece(visible(words), only_here)
    if words != text:
        yield Piece(text[len(words) :])


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of both sides, as text, and how much more the right one is."""

    name: str
    left: str
    right: str
    change: str = ""
    trend: str = ""
    """``more`` or ``less``; empty if they are the same, or one is not known."""


def figure(
    name: str, values: Sequence[float | None], shown: Callable[[float | None], str]
) -> Figure:
    """Return a figure with its difference; *shown* formats a value."""
    left, right = values
    texts = shown(left), shown(right)
    if left is None or right is None or texts[0] == texts[1]:
        return Figure(name, *texts)
    more = right > left
    change = f"{'+' if more else _MINUS}{shown(abs(right - left))}"
    if left > 0 and right > 0:
        change += f" ({_times(right / left)})"
    return Figure(name, *texts, change, "more" if more else "less")


def _times(ratio: float) -> str:
    if ratio >= _TWICE:
        return f"\N{MULTIPLICATION SIGN}{ratio:.1f}"
    return f"{ratio - 1:+.0%}".replace("-", _MINUS)
