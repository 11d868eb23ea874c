"""What the commands about metrics have in common: an option, and how figures are printed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clew.cli._figures import NOTHING
from clew.core.wording import number_of
from clew.evaluations.metrics.columns import FILTERS
from clew.evaluations.metrics.errors import MetricError
from clew.evaluations.metrics.figures import Figure
from clew.evaluations.metrics.grouping import check_group


def group(_: click.Context, __: click.Parameter, by: str | None) -> str | None:
    """Return what sessions are grouped by, which an option names."""
    try:
        check_group(by)
    except MetricError as error:
        raise click.BadParameter(str(error)) from error
    return by


def compared_group(context: click.Context, parameter: click.Parameter, by: str) -> str | None:
    """Return what sessions are grouped by where groups of them are compared."""
    if by == "session":
        message = "two sessions are compared on the page; here groups of them are"
        raise click.BadParameter(message)
    return group(context, parameter, by)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Where [tool.clew] is.  [default: CLEW_CONFIG, or the nearest pyproject.toml with it]",
)
worst_option = click.option(
    "--worst",
    metavar="METRIC",
    help="Those that are worst by a metric: a built-in one, one of [tool.clew.metrics], or an "
    "expression.",
)


def chosen(search: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of a command as the functions for metrics take them."""
    filters = {name: search[name] for name in FILTERS}
    return {"since": search["since"], "until": search["until"], "filters": filters}


def value(number: float | None) -> str:
    """Return a figure with four digits; a dash for what is not known."""
    if number is None:
        return NOTHING
    if number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def interval(low: float | None, high: float | None) -> str:
    """Return where a figure lies."""
    return NOTHING if low is None or high is None else f"{value(low)} to {value(high)}"


def behind(figure: Figure) -> str:
    """Return of how many sessions a figure is, and of how many it is not known."""
    if figure.sessions == figure.of:
        return f"{figure.of:,}"
    return f"{figure.sessions:,} of {figure.of:,}"


def unknown(metric: str, number: int) -> str:
    """Say of how many sessions a metric is not known."""
    return f"{metric} is not known of {number_of(number, 'session')}."


def of_group(it: Figure) -> tuple[str, ...]:
    """Return the cells of a group, with what it is ranked by."""
    name = NOTHING if it.group is None else it.group
    return (name, value(it.value), interval(it.low, it.high), behind(it), value(it.shrunk))
