"""`check`: whether the metrics are within the limits that a project sets; for CI."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from operator import ge, gt, le, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clew.core.project_file import project_table
from clew.evaluations.metrics.columns import only_of_parts, rows, selection
from clew.evaluations.metrics.definition import Metric, metrics, named
from clew.evaluations.metrics.errors import MetricError
from clew.evaluations.metrics.figures import Figure, of_rows
from clew.sessions.session import Session

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

Outcome = Literal["passed", "failed", "missing"]
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_LIMIT = re.compile(r"(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)")
_WRITTEN = re.compile(rf"(.*\S)\s*({_LIMIT.pattern})\s*", re.DOTALL)
_MEAN = "mean "
_MOST_NAMED = 10
"""How many sessions a limit names that is not kept."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a metric has to be: of all sessions together, or of each session."""

    metric: Metric
    comparison: str
    bound: float
    each: bool = False

    def __str__(self) -> str:
        which = " of each session" if self.each else ""
        return f"{self.metric.name}{which} {self.comparison} {self.bound:g}"

    def allows(self, value: float) -> bool:
        """Whether a figure is within it."""
        return _COMPARISONS[self.comparison](value, self.bound)

    @property
    def downwards(self) -> bool:
        """Whether great figures are what it forbids."""
        return self.comparison in {"<", "<="}


@dataclass(frozen=True, slots=True)
class Named:
    """A session that a limit names, and where it broke."""

    session: str
    value: float
    turn: int | None
    """The number of its first bad turn, from 1; None if it has none."""
    kind: str
    """``friction`` or ``failure``; empty where there is no bad turn."""
    words: str
    """What gave the turn away."""


@dataclass(frozen=True, slots=True)
class Result:
    """Whether one limit is kept."""

    limit: Limit
    outcome: Outcome
    """``missing`` where there is no figure: that is not a pass."""
    figure: Figure
    """Of all sessions."""
    beyond: int
    """Of a limit for each session: how many are beyond it."""
    unknown: int
    """Of a limit for each session: of how many nothing is known."""
    named: tuple[Named, ...]
    """If it is not kept, the sessions to look at, the worst first."""
    message: str
    """All this in one line."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of all limits."""

    results: tuple[Result, ...]
    sessions: int

    @property
    def exit_code(self) -> int:
        """0 if all are kept, 1 if one is not, 2 if a figure is missing or nothing was checked."""
        outcomes = {it.outcome for it in self.results}
        if "failed" in outcomes:
            return 1
        return 0 if outcomes == {"passed"} and self.sessions else 2


def limit(metric: Metric, text: Any, *, each: bool = False) -> Limit:
    """Read a limit such as ``< 0.3`` for a metric."""
    found = _LIMIT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        message = (
            f"{metric.name} = {text!r:.80} is no limit; write for example "
            f'{metric.name} = "< 0.3", with <, <=, > or >= and a number'
        )
        raise MetricError(message)
    bound = float(found[2]) / (100 if found[3] else 1)
    if not isfinite(bound):  # Every figure would keep it, or none.
        message = f"{metric.name} {text.strip():.80}: {found[2]:.80} is too great for a limit"
        raise MetricError(message)
    return Limit(metric, found[1], bound, each)


def limit_of(text: str, config: Path | None = None, *, each: bool = False) -> Limit:
    """Read a metric with its limit, such as ``friction < 0.3``."""
    if (found := _WRITTEN.fullmatch(text)) is None:
        message = f"{text!r:.80} is no limit; write for example 'friction < 0.3'"
        raise MetricError(message)
    return limit(_meant(found[1].strip().strip("'"), config), found[2], each=each)


def limits(config: Path | None = None) -> tuple[Limit, ...]:
    """Return the limits of ``[tool.clew.check]``, and those of its table ``sessions`` for each."""
    if (table := project_table("check", config)) is None:
        return ()
    found = []
    content = table.mapping()
    each = content.get("sessions", {})
    if not isinstance(each, dict):
        message = f"{table.place}: sessions must be a table: [tool.clew.check.sessions]"
        raise MetricError(message)
    try:
        for name, text in content.items():
            if name != "sessions":
                found.append(limit(_meant(name, config), text))
        for name, text in each.items():
            found.append(limit(named(name, config), text, each=True))
    except MetricError as error:
        message = f"{table.place}: {error}"
        raise MetricError(message) from None
    return tuple(found)


def _meant(name: str, config: Path | None) -> Metric:
    """Return a metric that may be named "mean friction": a mean is what all built-in ones are.

    A project may have one whose own name begins so.
    """
    if name.startswith(_MEAN) and name not in metrics(config):
        name = name.removeprefix(_MEAN).strip()
    return named(name, config)


def check(
    store: "Conversations",
    wanted: Sequence[Limit] | None = None,
    *,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    filters: Mapping[str, Any] | None = None,
    config: Path | None = None,
) -> Checked:
    """Return whether the limits are kept: those that are given, or those of the project.

    Args:
        store: Where the sessions are.
        wanted: The limits, as `limit_of` reads them.
        since: Only sessions with a turn after that time, or in the time before now.
        until: Only sessions that began before that time.
        filters: Which sessions, by what `SessionStore.list` takes.
        config: The file in which the metrics and limits of the project are.
    """
    chosen = selection(store, since, until, filters)
    asked = limits(config) if wanted is None else tuple(wanted)
    if not asked:
        message = (
            "there is no limit to check; write into pyproject.toml, for example:\n"
            '    [tool.clew.check]\n    friction = "< 0.3"\n'
            "or name one: clew check 'friction < 0.3'"
        )
        raise MetricError(message)
    results = tuple(_result(store, it, chosen) for it in asked)
    return Checked(results, max(it.figure.of for it in results))


def _result(store: "Conversations", it: Limit, chosen: Any) -> Result:
    found = rows(store, it.metric.parsed, chosen)
    by_session = of_rows(store, it.metric, found, "session")
    overall = by_session.overall
    each = [(str(one.group), one.value) for one in by_session.groups if one.value is not None]
    each.sort(key=lambda one: (-one[1] if it.downwards else one[1], one[0]))
    if it.each:
        return _each(store, it, overall, each)
    outcome: Outcome = "missing"
    message = f"{it}: there is no figure; it is not known of any of {overall.of:,} sessions"
    if overall.value is None:
        message += _of_parts(store, it)
    else:
        outcome = "passed" if it.allows(overall.value) else "failed"
        known = "" if overall.sessions == overall.of else f" of {overall.of:,}"
        number = f"{overall.sessions:,}{known} session{'' if overall.of == 1 else 's'}"
        message = f"{it}: it is {overall.value:.4g}, of {number}"
    if outcome != "failed":
        return Result(it, outcome, overall, 0, 0, (), message)
    # Of a mean, those that keep the limit are not to blame; of a sum, each may keep it.
    to_blame = [one for one in each if not it.allows(one[1])] or each
    return Result(it, outcome, overall, 0, 0, _named(store, to_blame), message)


def _each(
    store: "Conversations", it: Limit, overall: Figure, each: Sequence[tuple[str, float]]
) -> Result:
    beyond = [(session, value) for session, value in each if not it.allows(value)]
    unknown = overall.of - len(each)
    outcome: Outcome = "failed" if beyond else "missing" if unknown or not each else "passed"
    message = f"{it}: {len(beyond):,} of {overall.of:,} sessions are beyond it"
    if unknown or not overall.of:
        message += f"; of {unknown:,} there is no figure" + ("" if each else _of_parts(store, it))
    return Result(it, outcome, overall, len(beyond), unknown, _named(store, beyond), message)


def _of_parts(store: "Conversations", it: Limit) -> str:
    names = only_of_parts(store, it.metric.parsed)
    said = ", ".join(map(repr, names))
    return f" ({said}: said of turns or calls, not of sessions)" if names else ""


def _named(store: "Conversations", found: Iterable[tuple[str, float]]) -> tuple[Named, ...]:
    worst = list(found)[:_MOST_NAMED]
    return tuple(_broken(store.get(session), value) for session, value in worst)


def _broken(session: Session, value: float) -> Named:
    bad = session.first_bad_turn
    if bad is None:
        return Named(session.id, value, None, "", "")
    return Named(session.id, value, bad.turn, bad.kind, bad.words)
