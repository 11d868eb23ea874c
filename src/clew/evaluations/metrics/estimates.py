"""What a metric is for some sessions: its value, its interval, and what ranks groups fairly."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, isfinite
from typing import Any, TypeAlias

from clew.evaluations.metrics.columns import Rows
from clew.evaluations.metrics.functions import Compiled, compiled
from clew.evaluations.metrics.intervals import Interval, Sample, of_mean, of_share
from clew.evaluations.metrics.nodes import (
    Aggregate,
    Node,
    aggregates,
    required,
)
from clew.evaluations.metrics.properties import is_estimate, is_share, limits

Parts: TypeAlias = tuple[float | None, ...]
"""What one session adds to each aggregate of an expression; None: nothing."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What an aggregate consists of: of so many sessions."""

    total: float
    number: float
    least: float
    greatest: float


class Calculation:
    """Computes the expression of some rows, for any sessions in them."""

    def __init__(self, rows: Rows) -> None:
        self.node = rows.node
        self.is_estimate = is_estimate(self.node)
        self.parts: dict[str, Parts] = {}
        """What each session adds. Those that add nothing are left out."""
        self._aggregates = aggregates(self.node)
        self._result = compiled(self.node, {it: place for place, it in enumerate(self._aggregates)})
        self._take_apart(rows)

    def _take_apart(self, rows: Rows) -> None:
        places: dict[Node, int] = {it: place for place, it in enumerate(rows.fields)}
        needed = [places[it] for it in required(self.node)]
        functions = [
            (it.function == "count", None if it.argument is None else compiled(it.argument, places))
            for it in self._aggregates
        ]
        for session, row in rows.by_session.items():
            known = all(row[place] is not None for place in needed)
            parts = tuple(
                _counted(of, row) if counts else _number(of, row) if known else None
                for counts, of in functions
            )
            if any(it is not None for it in parts):
                self.parts[session] = parts

    def of(self, sessions: Iterable[str]) -> "Estimate":
        """Return the figure of these *sessions*."""
        return Estimate(self, [it for name in sessions if (it := self.parts.get(name))])

    def sums(self, parts: Sequence[Parts]) -> tuple[Sums, ...]:
        """Return what the aggregates consist of."""
        found = []
        for place in range(len(self._aggregates)):
            values = [value for it in parts if (value := it[place]) is not None]
            extremes = (min(values), max(values)) if values else (0.0, 0.0)
            found.append(Sums(fsum(values), len(values), *extremes))
        return tuple(found)

    def result(self, sums: Sequence[Sums]) -> float | None:
        """Return the value of the expression; None if it has none."""
        value = self._result(tuple(map(_aggregate, self._aggregates, sums)))
        return float(value) if value is not None and isfinite(value) else None

    def without(self, sums: Sequence[Sums], left_out: Parts) -> float | None:
        """Return the value that the expression would have without one session."""
        return self.result(
            [
                it if part is None else Sums(it.total - part, it.number - 1, it.least, it.greatest)
                for it, part in zip(sums, left_out, strict=True)
            ]
        )

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean of one value, nothing else."""
        return isinstance(self.node, Aggregate) and self.node.function == "avg"


class Estimate:
    """The figure of some sessions, by what each of them adds to it."""

    def __init__(self, calculation: Calculation, parts: Sequence[Parts]) -> None:
        self._calculation = calculation
        self._parts = parts
        self.sessions = len(parts)
        """How many are behind the figure."""
        self.sums = calculation.sums(parts)
        self.value = calculation.result(self.sums)

    @cached_property
    def pseudo_values(self) -> list[float] | None:
        """What each session says of the figure: their mean is the figure, or nearly so (jackknife).

        None for what is no estimate, and where a value depends on one session.
        """
        if not self._calculation.is_estimate or self.value is None:
            return None
        if self._calculation.is_mean:
            return [it for (it,) in self._parts if it is not None]
        if self.sessions < 2:
            return None
        number, found = self.sessions, []
        known: dict[Parts, float | None] = {}
        for part in self._parts:
            if part not in known:
                known[part] = self._calculation.without(self.sums, part)
            without = known[part]
            if without is None:
                return None
            found.append(number * self.value - (number - 1) * without)
        return found if all(abs(it) <= _GREATEST for it in found) else None

    @cached_property
    def sample(self) -> Sample | None:
        """The distribution of what each session says of the figure."""
        return None if self.pseudo_values is None else Sample.of(self.pseudo_values)

    @cached_property
    def share(self) -> tuple[int, int] | None:
        """If the figure is a share: of how many sessions it is true, and how many there are."""
        values = self.pseudo_values
        if not values or not is_share(self._calculation.node) or set(values) - {0, 1}:
            return None
        return sum(it == 1 for it in values), len(values)

    @property
    def interval(self) -> Interval | None:
        """Where the figure lies with 95 %; None for what is counted, or known of one session."""
        if self.sample is None or self.value is None:
            return None
        if self.share is not None:
            return of_share(*self.share)
        if (found := of_mean(self.sample, self.value)) is None:
            return None
        least, greatest = limits(self._calculation.node)
        return max(found[0], least), min(found[1], greatest)

    def with_average(self, all_of_them: "Estimate", number: float) -> float | None:
        """Return what the figure would be with so many average sessions more."""
        weight = number / all_of_them.sessions
        return self._calculation.result(
            [
                Sums(
                    own.total + weight * average.total,
                    own.number + weight * average.number,
                    own.least,
                    own.greatest,
                )
                for own, average in zip(self.sums, all_of_them.sums, strict=True)
            ]
        )


def _counted(of: Compiled | None, row: Sequence[Any]) -> float | None:
    return 1.0 if of is None or of(row) is not None else None


def _number(of: Compiled | None, row: Sequence[Any]) -> float | None:
    value = None if of is None else of(row)
    return value if isinstance(value, int | float) and abs(value) <= _GREATEST else None


_GREATEST = 1e100
"""What a session may say of a figure, so that the cubes of many can be added. A span may state any
number as its cost or its tokens; one that is greater is as good as not known."""


def _aggregate(aggregate: Aggregate, of: Sums) -> float | None:
    if aggregate.function == "count":
        return of.number
    if of.number <= 0:
        return None
    match aggregate.function:
        case "sum":
            return of.total
        case "avg":
            return of.total / of.number
        case "min":
            return of.least
        case _:
            return of.greatest


def weight_of_average(all_of_them: Mapping[str, float], groups: Collection[Sequence[str]]) -> float:
    """Return by how many average sessions each group is to be filled up before they are ranked.

    It is the variance within groups by that between them (empirical Bayes): the less the groups
    differ from each other, the more sessions a group needs until its own figure counts. At least 5,
    so that one session never decides, and at most 1,000.
    """
    found = [[all_of_them[it] for it in names if it in all_of_them] for names in groups]
    found = [values for values in found if values]
    number = sum(map(len, found))
    if len(found) < 2 or number == len(found):
        return _LEAST
    mean = fsum(it for values in found for it in values) / number
    means = [fsum(values) / len(values) for values in found]
    within = fsum(
        (it - own) ** 2 for values, own in zip(found, means, strict=True) for it in values
    ) / (number - len(found))
    between = fsum(
        len(values) * (own - mean) ** 2 for values, own in zip(found, means, strict=True)
    ) / (len(found) - 1)
    size = (number - sum(len(it) ** 2 for it in found) / number) / (len(found) - 1)
    variance = (between - within) / size
    return min(max(within / variance, _LEAST), _MOST) if variance > 0 else _MOST


_LEAST, _MOST = 5.0, 1000.0
