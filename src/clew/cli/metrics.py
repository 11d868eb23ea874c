"""``clew metrics``: what sessions are like, all together or by user, model, release or day."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _metrics, _terminal
from clew.cli._lookup import stored_user
from clew.cli._options import any_store_option, filter_options, json_option
from clew.cli._store import opened as open_store
from clew.cli._table import Column, table
from clew.evaluations.metrics.definition import Metric, metrics, named
from clew.evaluations.metrics.errors import MetricError
from clew.evaluations.metrics.figures import Figure, Figures, figures

_ALL = (
    Column("METRIC"),
    Column("VALUE", right=True),
    Column("95 %", needed=4),
    Column("SESSIONS", right=True, needed=6),
    Column("EXPRESSION", needed=1, shortest=12),
)
_GROUPS = (
    Column("GROUP", shortest=10),
    Column("VALUE", right=True),
    Column("95 %", needed=4),
    Column("SESSIONS", right=True, needed=6),
    Column("RANKED AS", right=True, needed=2),
)
_HELP = """Print what sessions are like, with the number of sessions behind each figure.

NAME: a metric that clew comes with, one of [tool.clew.metrics], or an expression.

\b
    clew metrics                                all there are
    clew metrics friction --by user             the users that suffer most
    clew metrics cost friction --by day --since 7d
    clew metrics "avg(cost > 0.01)" --by metadata.release

Between the two numbers below 95 % the figure lies with that probability. Groups are ranked by the
figure, the fewer sessions are behind it the nearer to that of all: RANKED AS.
"""


@click.command(help=_HELP, short_help="Print figures of sessions, yours or built-in ones.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--by",
    metavar="GROUP",
    callback=_metrics.group,
    help="One figure for each session, user, model, framework, tool, tag, day or metadata.KEY.",
)
@any_store_option
@json_option
@_metrics.config_option
@filter_options
@click.option(
    "--limit", type=click.IntRange(min=1), default=25, show_default=True, help="How many groups."
)
def command(
    *,
    names: tuple[str, ...],
    by: str | None,
    store: Path | str,
    as_json: bool,
    config: Path | None,
    limit: int,
    **search: Any,
) -> None:
    """Print figures of sessions."""
    with open_store(store) as opened:
        search["user"] = stored_user(opened, search["user"])
        asked = [named(it, config) for it in names] or list(metrics(config).values())
        found, faults = [], []
        for metric in asked:
            try:
                found.append(
                    figures(opened, metric, by=by, config=config, **_metrics.chosen(search))
                )
            except MetricError as error:
                if names or metric is asked[0]:
                    raise
                faults.append((metric, error))  # Perhaps nothing was evaluated yet.
    if as_json:
        faulty = [{"metric": it.name, "error": str(fault)} for it, fault in faults]
        _data.write([*(it.to_data() for it in found), *faulty])
    else:
        for line in _lines(found, by, limit):
            _terminal.write(line)
        for metric, fault in faults:
            _terminal.write(f"{metric.name}: {fault}", err=True)
    if faults:
        sys.exit(1)


def _lines(found: Sequence[Figures], by: str | None, limit: int) -> list[str]:
    width = _terminal.width()
    if by is None:
        rows = [_row(it.metric, it.overall) for it in found]
        return list(table(_ALL, rows, width))
    shown = found[0].groups[-limit:] if by == "day" else found[0].groups[:limit]
    if len(found) == 1:
        return list(table(_GROUPS, list(map(_metrics.of_group, shown)), width))
    values = [{it.group: it for it in one.groups} for one in found]
    columns = [Column(by.upper(), shortest=10), Column("SESSIONS", right=True)]
    columns += [Column(it.metric.name.upper(), right=True, needed=9) for it in found]
    rows = [
        (str(it.group), f"{it.of:,}", *(_metrics.value(one[it.group].value) for one in values))
        for it in shown
    ]
    return list(table(columns, rows, width))


def _row(metric: Metric, it: Figure) -> tuple[str, ...]:
    return (
        metric.name,
        _metrics.value(it.value),
        _metrics.interval(it.low, it.high),
        _metrics.behind(it),
        metric.expression,
    )
