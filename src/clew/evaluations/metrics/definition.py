"""Metric: a name and an expression; those that clew comes with, and those of a project."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core.project_file import ProjectTable, project_table
from clew.evaluations.metrics.errors import MetricError, did_you_mean
from clew.evaluations.metrics.expression import Expression, read
from clew.evaluations.metrics.nodes import Aggregate, Call, Field, Node

_MEAN_OF = {
    "friction": "friction",
    "failure": "failure",
    "cost": "cost",
    "turns": "turns",
    "errors": "errors",
    "latency": "latency_p95",
    "tokens": "total_tokens",
}
_JUDGED = "avg(coalesce(outcome.label, outcome.score, resolved.label, resolved.score) is not null)"
_BUILT_IN = {name: f"avg({column})" for name, column in _MEAN_OF.items()} | {"judged": _JUDGED}


def _trees() -> dict[str, Node]:
    """Return what `read` makes of these expressions: they need no sqlglot."""
    verdicts = (
        Field("outcome", "label"),
        Field("outcome", "score"),
        Field("resolved", "label"),
        Field("resolved", "score"),
    )
    is_none = Call("is null", (Call("coalesce", verdicts),))
    judged = Aggregate("avg", Call("not", (is_none,)))
    means: dict[str, Node] = {
        f"avg({column})": Aggregate("avg", Field(column)) for column in _MEAN_OF.values()
    }
    return {**means, _JUDGED: judged}


_TREES = _trees()
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of many sessions: an expression under a name.

    >>> Metric("friction_rate", "avg(friction > 0.5)")  # doctest: +SKIP
    """

    name: str
    expression: str
    """SQL over the columns of the view ``sessions`` and the names of evaluations."""
    higher_is_better: bool = False
    """Whether less of it is ranked as worse; by default more is."""
    parsed: Expression = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name: Any = self.name
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            message = f"name={name!r:.80} must be a text that can be printed"
            raise MetricError(message)
        if len(self.name) > _LONGEST_NAME:
            message = f"the name of a metric has at most {_LONGEST_NAME} characters"
            raise MetricError(message)
        text: Any = self.expression
        known = _TREES.get(text) if isinstance(text, str) else None
        parsed = read(text) if known is None else Expression(text, known)
        object.__setattr__(self, "parsed", parsed)

    @property
    def node(self) -> Node:
        """The tree of the expression."""
        return self.parsed.node


def built_in() -> dict[str, Metric]:
    """Return the metrics that clew comes with: they need no sqlglot."""
    better = {"judged"}
    return {name: Metric(name, text, name in better) for name, text in _BUILT_IN.items()}


def metrics(config: Path | None = None) -> dict[str, Metric]:
    """Return all metrics by their names: the built-in ones, then those of the project.

    Args:
        config: The file with the table ``[tool.clew.metrics]``; that of ``CLEW_CONFIG`` or the
            nearest ``pyproject.toml`` if it is not given.
    """
    found = built_in()
    if (table := project_table("metrics", config)) is None:
        return found
    for name, given in table.mapping().items():
        if name in found:
            own = found[name].expression
            message = f"{table.place}: {name} is built in, as {own}; take another name"
            raise MetricError(message)
        found[name] = _configured(table, name, given)
    return found


def _configured(table: ProjectTable, name: str, given: Any) -> Metric:
    settings: Mapping[str, Any] = given if isinstance(given, dict) else {"expression": given}
    allowed = ("expression", "higher_is_better")
    for key in settings:
        if key not in allowed:
            message = (
                f"{table.place}: {name}.{key} is not known{did_you_mean(key, allowed)}; "
                f"a metric has {' and '.join(allowed)}"
            )
            raise MetricError(message)
    better = settings.get("higher_is_better", False)
    if not isinstance(better, bool):
        message = f"{table.place}: {name}.higher_is_better={better!r:.80} must be true or false"
        raise MetricError(message)
    try:
        return Metric(name, settings.get("expression", ""), better)
    except MetricError as error:
        message = f"{table.place}: {name}: {error}"
        raise MetricError(message) from None


def named(metric: Any, config: Path | None = None) -> Metric:
    """Return the metric of this name; an expression is one, too, under its own text."""
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        message = f"metric={metric!r:.80} must be a Metric, or the name of one"
        raise MetricError(message)
    own = built_in()
    if metric in own:  # Whatever is wrong with the project's own.
        return own[metric]
    known = metrics(config)
    if metric in known:
        return known[metric]
    if "(" in metric:
        return Metric(metric, metric)
    near = did_you_mean(metric, known)
    message = (
        f"there is no metric {metric!r}{near}; there are {', '.join(known)}, and expressions such "
        "as avg(cost)"
    )
    if not near and metric.isidentifier():  # What was evaluated is only known to a store.
        message += f"; if {metric!r} is an evaluation, write avg({metric})"
    raise MetricError(message)
