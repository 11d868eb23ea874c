"""Which turns of two conversations belong together: where the user said the same, or nearly.

The others are paired by their number between those that match. The work is bounded, however long
the conversations are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

MAX_COMPARED = 200
"""Characters of what the user said that are compared."""
_ALIKE = 0.6
"""The least share of two texts that is the same where one is nearly the other."""
_MOST_AT_ONCE = 900
"""Pairs of texts of one gap that are compared letter by letter; larger gaps are paired by number.
"""

How = Literal["same", "alike", "number", "alone"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A turn of the one conversation, and that of the other that is compared with it."""

    left: int | None
    """The index of the turn; None if the other conversation has a turn more here."""
    right: int | None
    how: How


def align(left: Sequence[str], right: Sequence[str]) -> list[Pair]:
    """Return all turns in pairs, given what the user said in each."""
    one, other = list(map(_plain, left)), list(map(_plain, right))
    pairs: list[Pair] = []
    for kind, a1, a2, b1, b2 in SequenceMatcher(None, one, other).get_opcodes():
        if kind == "equal":
            pairs += [Pair(a1 + n, b1 + n, "same") for n in range(a2 - a1)]
            continue
        a, b = a1, b1
        for i, j in _alike(one[a1:a2], other[b1:b2]):
            pairs += _by_number(a, a1 + i, b, b1 + j)
            pairs.append(Pair(a1 + i, b1 + j, "alike"))
            a, b = a1 + i + 1, b1 + j + 1
        pairs += _by_number(a, a2, b, b2)
    return pairs


def _plain(text: str) -> str:
    return " ".join(text[: 2 * MAX_COMPARED].casefold().split())[:MAX_COMPARED]


def _alike(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Return which texts are nearly the same, in their order, so that the most is the same."""
    if not left or not right or len(left) * len(right) > _MOST_AT_ONCE:
        return []
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    shares: dict[tuple[int, int], float] = {}
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            shares[i, j] = share = _share(left[i], right[j])
            with_both = share + best[i + 1][j + 1] if share else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], with_both)
    found, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if shares[i, j] and best[i][j] == shares[i, j] + best[i + 1][j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _share(one: str, other: str) -> float:
    """Return how much of two texts is the same; 0 if that is not most of them."""
    if not one or not other:
        return 0.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    share = matcher.ratio()
    return share if share >= _ALIKE else 0.0


def _by_number(a1: int, a2: int, b1: int, b2: int) -> Iterator[Pair]:
    for n in range(max(a2 - a1, b2 - b1)):
        left = a1 + n if a1 + n < a2 else None
        right = b1 + n if b1 + n < b2 else None
        yield Pair(left, right, "alone" if left is None or right is None else "number")
