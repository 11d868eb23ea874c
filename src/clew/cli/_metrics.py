"""What the commands about metrics have in common: an option, and how figures are printed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clew.cli._figures import NOTHING
from clew.evaluations.metrics.columns import FILTERS
from clew.evaluations.metrics.figures import Figure

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Where [tool.clew] is.  [default: CLEW_CONFIG, or the nearest pyproject.toml with it]",
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
