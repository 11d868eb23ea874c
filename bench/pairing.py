"""Paired comparison of measurements, and verdicts on promises, for all benchmarks.

The speed of a shared machine varies over time. So the programs that are compared take turns, values
are compared within a round, and the median over the rounds is reported: a disturbance that is
longer than a round affects both sides of a pair, and a shorter one only a few pairs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import Any

_RESAMPLES = 1000
_SEED = 1
"""Makes the order of turns and the resampling the same in every run."""


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % confidence interval."""

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
        """Whether the median is within the limit. A wide interval is no excuse."""
        return self.measured.median <= self.limit

    def text(self) -> str:
        """Return the verdict as a line of text, with a note if it is uncertain."""
        close = self.measured.low <= self.limit <= self.measured.high
        doubt = "  (the interval contains the limit: run more rounds)" if close else ""
        return f"{'PASS' if self.kept else 'FAIL'}  {self.promise}: {self.measured.text(3)}{doubt}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, ready for JSON."""
        return {**asdict(self), "kept": self.kept}


def estimate(groups: Sequence[Sequence[float]]) -> Estimate:
    """Return the median of all values with its bootstrap interval.

    The values that one process measured are a group. They resemble each other, so the groups are
    resampled first, and then the values in each.
    """
    random = Random(_SEED)  # Not for cryptography
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
    """Yield the order of each round, shuffled so that no row always follows the same other row."""
    random = Random(_SEED)  # Not for cryptography
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
