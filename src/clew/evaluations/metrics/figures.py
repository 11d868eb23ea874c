"""`figures`: what a metric is, for all sessions or for each group of them, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clew.evaluations.metrics.columns import Rows, rows, selection
from clew.evaluations.metrics.definition import Metric, named
from clew.evaluations.metrics.estimates import Calculation, Estimate, weight_of_average
from clew.evaluations.metrics.grouping import check_group, groups

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations


@dataclass(frozen=True, slots=True)
class Figure:
    """What a metric is for some sessions."""

    group: str | None
    """The name of the group; None for all sessions."""
    value: float | None
    """None if it is not known of any session, or something would be divided by zero."""
    low: float | None
    """Between this and `high` it lies with 95 %; None for what is counted, not estimated, and where
    too few sessions are behind it."""
    high: float | None
    sessions: int
    """How many sessions are behind it, which are those of which it is known."""
    of: int
    """How many sessions there are in the group."""
    shrunk: float | None
    """What groups are ranked by, nearer to the value of all sessions the fewer are behind it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a metric is for all sessions, and for each group of them."""

    metric: Metric
    by: str | None
    overall: Figure
    groups: tuple[Figure, ...]
    """The worst first; days in their order."""

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "metric": self.metric.name,
            "expression": self.metric.expression,
            "higher_is_better": self.metric.higher_is_better,
            "by": self.by,
            "overall": asdict(self.overall),
            "groups": [asdict(it) for it in self.groups],
        }


def figures(
    store: "Conversations",
    metric: Metric | str,
    *,
    by: str | None = None,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    filters: Mapping[str, Any] | None = None,
    config: Path | None = None,
) -> Figures:
    """Return what *metric* is for all sessions and for each group of them.

    Args:
        store: Where the sessions are.
        metric: One of `metrics`, by its name, an expression, or a `Metric`.
        by: What to group by: ``session``, ``user``, ``model``, ``framework``, ``tool``, ``tag``,
            ``day`` (UTC, of the beginning) or ``metadata.KEY``. A session counts in each group that
            it belongs to.
        since: Only sessions with a turn after that time, or in the time before now.
        until: Only sessions that began before that time.
        filters: Which sessions, by what `SessionStore.list` takes: ``{"user": "ada"}``.
        config: The file in which the metrics of the project are, instead of the nearest
            ``pyproject.toml``.
    """
    check_group(by)
    measured = named(metric, config)
    found = rows(store, measured.parsed, selection(store, since, until, filters))
    return of_rows(store, measured, found, by)


def of_rows(store: "Conversations", metric: Metric, found: Rows, by: str | None) -> Figures:
    """Return what *metric* is, given the rows of the sessions."""
    calculation = Calculation(found)
    everything = calculation.of(found.by_session)
    overall = figure(everything, None, len(found.by_session), None)
    if by is None:
        return Figures(metric, by, overall, ())
    grouped = groups(store, found, by)
    weight = _weight(calculation, everything, list(grouped.values()), by)
    made = []
    for name, sessions in grouped.items():
        estimate = calculation.of(sessions)
        shrunk = estimate.value
        if weight is not None:
            shrunk = estimate.with_average(everything, weight) if estimate.sessions else None
        made.append(figure(estimate, name, len(sessions), shrunk))
    if by != "day":
        made.sort(key=lambda it: _rank(it, metric))
    return Figures(metric, by, overall, tuple(made))


def figure(estimate: Estimate, group: str | None, of: int, shrunk: float | None) -> Figure:
    """Return an estimate as it is shown."""
    low, high = estimate.interval or (None, None)
    return Figure(group, estimate.value, low, high, estimate.sessions, of, shrunk)


def _weight(
    calculation: Calculation, everything: Estimate, grouped: Sequence[Sequence[str]], by: str
) -> float | None:
    """Return by how many average sessions each group is filled up; None: groups are as they are."""
    if by == "session" or not calculation.is_estimate or everything.value is None:
        return None
    known = dict(zip(calculation.parts, everything.pseudo_values or (), strict=False))
    return weight_of_average(known, grouped)


def _rank(it: Figure, metric: Metric) -> tuple[bool, float, int, str]:
    sign = 1 if metric.higher_is_better else -1
    value = 0.0 if it.shrunk is None else sign * it.shrunk
    return (it.shrunk is None, value, -it.sessions, it.group or "")
