"""Paired comparison: what holds for every bench, whatever it runs.

A shared machine is slow for a while and fast for a while. So the things compared take turns, each
round is compared with itself, and what is reported is the median over the rounds: a disturbance
that is longer than a round hits both sides of a pair, and one that is shorter spoils a few pairs
only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import Any

_RESAMPLES = 1000
_SEED = 1
"""The order of a run and the resampling are the same each time; only the machine is not."""


@dataclass(frozen=True)
class Estimate:
    """A median, and the interval that holds it with 95 % confidence."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Return it for a table: ``1.02 [0.99, 1.05]``."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True)
class Verdict:
    """Whether one promise was kept."""

    promise: str
    measured: Estimate
    limit: float

    @property
    def kept(self) -> bool:
        """Judged by the median: an interval that is wide enough would excuse everything."""
        return self.measured.median <= self.limit

    def text(self) -> str:
        """Return the line for a person, with a word on how sure it is."""
        close = self.measured.low <= self.limit <= self.measured.high
        doubt = "  (the interval holds the limit: more rounds say more)" if close else ""
        return f"{'PASS' if self.kept else 'FAIL'}  {self.promise}: {self.measured.text(3)}{doubt}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, ready for JSON."""
        return {**asdict(self), "kept": self.kept}


def estimate(groups: Sequence[Sequence[float]]) -> Estimate:
    """Return the median of all values with its bootstrap interval.

    What one process measured is a group: the values of a group are alike, so the groups are
    resampled first, and then the values in each.
    """
    random = Random(_SEED)  # No cryptography
    medians = []
    for _ in range(_RESAMPLES):
        drawn = random.choices(groups, k=len(groups))
        medians.append(median(x for group in drawn for x in random.choices(group, k=len(group))))
    medians.sort()
    edge = _RESAMPLES // 40
    return Estimate(median(x for group in groups for x in group), medians[edge], medians[-edge - 1])


def paired(
    compare: Callable[[float, float], float],
    these: Sequence[Sequence[float]],
    those: Sequence[Sequence[float]],
) -> Estimate:
    """Compare *these* with *those*, group by group and round by round; estimate the median."""
    groups = zip(these, those, strict=True)
    return estimate([list(map(compare, *group)) for group in groups])


def turns(names: Iterable[str], rounds: int) -> Iterator[list[str]]:
    """Yield the order of each round: shuffled, so that nobody always follows the same neighbour."""
    random = Random(_SEED)  # No cryptography
    order = list(names)
    for _ in range(rounds):
        random.shuffle(order)
        yield order.copy()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows*, of which the first is the header, as a Markdown table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
