"""Usual: what the turns of an application usually take and cost, to tell which are outliers."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from clew.sessions.model import Turn

MIN_TURNS = 30
"""From fewer turns, nothing is said about what is usual."""
_PERCENT = 95


@dataclass(frozen=True, slots=True)
class Usual:
    """What 95 % of the turns of an application do not exceed; None where that is not known."""

    seconds: float | None = None
    cost: float | None = None


def usual(turns: Iterable[Turn]) -> Usual:
    """Return what is usual in these turns, of which there must be at least 30."""
    seconds: list[float] = []
    costs: list[float] = []
    for turn in turns:
        if turn.spoken:
            seconds.append(turn.seconds)
            if turn.cost is not None:
                costs.append(turn.cost)
    return usual_of(seconds, costs)


def usual_of(seconds: list[float], costs: list[float]) -> Usual:
    """Return what is usual, given how long turns took, and what those cost of which it is known."""
    return Usual(_percentile(seconds), _percentile(costs))


def _percentile(values: list[float]) -> float | None:
    if len(values) < MIN_TURNS:
        return None
    return sorted(values)[ceil(len(values) * _PERCENT / 100) - 1]
