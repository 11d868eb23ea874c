"""`compare`: what got better or worse between two groups of sessions, such as two releases."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clew.evaluations.metrics.columns import rows, selection
from clew.evaluations.metrics.definition import Metric, built_in, metrics, named
from clew.evaluations.metrics.errors import MetricError, did_you_mean
from clew.evaluations.metrics.estimates import Calculation, Estimate
from clew.evaluations.metrics.figures import Figure, figure
from clew.evaluations.metrics.grouping import GROUPS, check_group, groups
from clew.evaluations.metrics.intervals import Interval, of_difference, of_shares

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

Verdict = Literal["better", "worse", "no difference shown", "not known"]
_MOST_CHANGED = 5
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Changed:
    """A session of the second group that got worse, or is among the worst of it."""

    session: str
    value: float
    before: str | None
    """The session of the first group that began with the same words; None if there is none, or
    several of them."""
    value_before: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How one metric differs between two groups."""

    metric: Metric
    a: Figure
    b: Figure
    difference: float | None
    """The second less the first."""
    low: float | None
    """Between this and `high` the difference lies with 95 %."""
    high: float | None
    verdict: Verdict
    """``better`` or ``worse`` where the whole interval is on one side of zero."""
    changed: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two groups of sessions differ."""

    by: str
    a: str
    b: str
    differences: tuple[Difference, ...]

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        found = [
            {
                **asdict(it),
                "metric": it.metric.name,
                "expression": it.metric.expression,
                "changed": [asdict(one) for one in it.changed],
            }
            for it in self.differences
        ]
        return {"by": self.by, "a": self.a, "b": self.b, "differences": found}


def compare(
    store: "Conversations",
    by: str,
    a: str | None = None,
    b: str | None = None,
    *,
    measured: Sequence[Metric | str] | None = None,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    filters: Mapping[str, Any] | None = None,
    config: Path | None = None,
) -> Comparison:
    """Return how two groups of sessions differ in each metric.

    Args:
        store: Where the sessions are.
        by: What the groups are made by, as for `figures`: ``metadata.release`` or ``model``.
        a: The first group, such as the old release.
        b: The second group. If none is given, they are the two whose first session began last, the
            older one first; if only one is given, it is compared with the newest other one.
        measured: The metrics; all that there are, if they are not given.
        since: Only sessions with a turn after that time, or in the time before now.
        until: Only sessions that began before that time.
        filters: Which sessions, by what `SessionStore.list` takes.
        config: The file in which the metrics of the project are.
    """
    check_group(by)
    if by == "session":
        message = "by='session': sessions are compared on the page; here groups of them are"
        raise MetricError(message)
    every = metrics(config).values() if measured is None else measured
    wanted = [named(it, config) for it in every]
    if not wanted:
        message = f"there is no metric to compare; there are {', '.join(metrics(config))}"
        raise MetricError(message)
    chosen = selection(store, since, until, filters)
    everything = rows(store, built_in()["turns"].parsed, chosen)
    grouped = groups(store, everything, by)
    first, second = _two(by, grouped, everything.first_ns, a, b)
    members = (grouped[first], grouped[second])
    made = []
    for metric in wanted:
        try:
            found = rows(store, metric.parsed, chosen)
        except MetricError:
            if measured is not None:
                raise
            made.append(_not_known(metric, members))  # It needs an evaluation that was never made.
        else:
            made.append(_difference(store, metric, Calculation(found), members))
    return Comparison(by, first, second, tuple(made))


def _two(
    by: str,
    grouped: Mapping[str, Sequence[str]],
    first_ns: Mapping[str, int],
    a: str | None,
    b: str | None,
) -> tuple[str, str]:
    """Return which groups are compared."""
    for name in (a, b):
        if name is not None and name not in grouped:
            known = ", ".join(list(grouped)[:_MOST_NAMED]) or "none"
            message = f"there is no {by} {name!r}{did_you_mean(name, grouped)}; there are: {known}"
            raise MetricError(message)
    if a is not None and a == b:
        message = f"{by} {a!r} is both groups: name another one to compare it with"
        raise MetricError(message)
    seen = sorted((min(first_ns[it] for it in own), name) for name, own in grouped.items())
    others = [name for _, name in seen if name not in {a, b}]
    if a is not None and b is not None:
        return a, b
    needed = 2 if a is None and b is None else 1
    if len(others) < needed:
        if not grouped:
            known = ", ".join(GROUPS[1:])
            message = f"two groups are compared, and by {by} there is none; others are by {known}"
            raise MetricError(message)
        message = f"two groups are compared, and by {by} there are {len(grouped)}"
        raise MetricError(message)
    if needed == 2:
        return others[-2], others[-1]
    return (a, others[-1]) if a is not None else (others[-1], str(b))


def _difference(
    store: "Conversations",
    metric: Metric,
    calculation: Calculation,
    members: tuple[Sequence[str], Sequence[str]],
) -> Difference:
    first, second = (calculation.of(it) for it in members)
    a = figure(first, None, len(members[0]), first.value)
    b = figure(second, None, len(members[1]), second.value)
    if a.value is None or b.value is None:
        return Difference(metric, a, b, None, None, None, "not known", ())
    difference = b.value - a.value
    low, high = _interval(first, second, difference) or (None, None)
    verdict: Verdict = "no difference shown"
    if low is not None and high is not None and (low > 0 or high < 0):
        verdict = "better" if (low > 0) == metric.higher_is_better else "worse"
    changed = _changed(store, metric, calculation, members)
    return Difference(metric, a, b, difference, low, high, verdict, changed)


def _not_known(metric: Metric, members: tuple[Sequence[str], Sequence[str]]) -> Difference:
    a, b = (Figure(None, None, None, None, 0, len(it), None) for it in members)
    return Difference(metric, a, b, None, None, None, "not known", ())


def _interval(first: Estimate, second: Estimate, difference: float) -> Interval | None:
    if first.share is not None and second.share is not None:
        return of_shares(first.share, second.share)
    if first.sample is None or second.sample is None:
        return None
    return of_difference(first.sample, second.sample, difference)


def _changed(
    store: "Conversations",
    metric: Metric,
    calculation: Calculation,
    members: tuple[Sequence[str], Sequence[str]],
) -> tuple[Changed, ...]:
    """Return the sessions of the second group that got worse by most, the worst first.

    Where conversations of both groups begin with the same words, as where the same ones were held
    with two releases, each is compared with its own. Where none do, they are the worst sessions of
    the second group. A session that is in both, as one of two models, tells nothing of either.
    """
    both = set(members[0]).intersection(members[1])
    before, after = (_values(calculation, [it for it in own if it not in both]) for own in members)
    sign = -1 if metric.higher_is_better else 1
    table = store.sql("SELECT session_id, first_message FROM sessions").to_columns()
    opening = dict(zip(table["session_id"], table["first_message"], strict=True))
    of_opening: dict[str, list[str]] = {}
    for session in before:
        of_opening.setdefault(opening[session], []).append(session)
    pairs = {
        session: found[0]
        for session in after
        if opening[session] and len(found := of_opening.get(opening[session], [])) == 1
    }
    if pairs:
        worse = {it: sign * (after[it] - before[other]) for it, other in pairs.items()}
        ranked = sorted((it for it in worse if worse[it] > 0), key=lambda it: (-worse[it], it))
    else:
        ranked = sorted(after, key=lambda it: (-sign * after[it], it))
    return tuple(
        Changed(it, after[it], pairs.get(it), before[pairs[it]] if it in pairs else None)
        for it in ranked[:_MOST_CHANGED]
    )


def _values(calculation: Calculation, sessions: Sequence[str]) -> dict[str, float]:
    """Return what the metric is for each session alone, where it is known."""
    found = ((it, calculation.of([it]).value) for it in sessions)
    return {session: value for session, value in found if value is not None}
