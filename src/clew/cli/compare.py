"""``clew compare``: what got better or worse between two releases, models, prompts or tags."""

from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _metrics, _terminal
from clew.cli._lookup import stored_user
from clew.cli._options import any_store_option, filter_options, json_option
from clew.cli._store import opened as open_store
from clew.cli._table import Column, table
from clew.evaluations.metrics.comparing import Changed, Comparison, Difference, compare

_HELP = """Compare two groups of sessions: each metric's difference, and the sessions to look at.

A, B: the names of the groups. Without them, the two that came last are compared, the older first.

\b
    clew compare --by metadata.release            the two newest releases
    clew compare --by metadata.release 1.2 1.3
    clew compare --by model gpt-4o gpt-4o-mini -m cost -m friction

A difference is called better or worse where it lies with 95 % on one side of zero. Of twenty
metrics that do not differ, one is called so by chance.
"""
_COLORS = {"worse": "red", "better": "green"}


@click.command(help=_HELP, short_help="Compare two releases, models or tags.")
@click.argument("a", required=False, metavar="[A]")
@click.argument("b", required=False, metavar="[B]")
@click.option(
    "--by",
    required=True,
    metavar="GROUP",
    callback=_metrics.compared_group,
    help="What is compared: metadata.KEY, model, framework, tool, tag, user or day.",
)
@click.option(
    "-m", "--metric", "names", multiple=True, metavar="NAME", help="Only this; may be repeated."
)
@any_store_option
@json_option
@_metrics.config_option
@filter_options
def command(
    *,
    a: str | None,
    b: str | None,
    by: str,
    names: tuple[str, ...],
    store: Path | str,
    as_json: bool,
    config: Path | None,
    **search: Any,
) -> None:
    """Compare two groups of sessions."""
    with open_store(store) as opened:
        search["user"] = stored_user(opened, search["user"])
        wanted = list(names) or None
        asked = _metrics.chosen(search)
        found = compare(opened, by, a, b, measured=wanted, config=config, **asked)
    if as_json:
        _data.write(found.to_data())
        return
    _show(found)


def _show(found: Comparison) -> None:
    columns = (
        Column("METRIC"),
        Column(_terminal.line(found.a), right=True),
        Column(_terminal.line(found.b), right=True),
        Column("DIFFERENCE", right=True),
        Column("95 %", needed=4),
        Column("SESSIONS", right=True, needed=3),
        Column("VERDICT"),
    )
    lines = table(columns, list(map(_row, found.differences)), _terminal.width())
    for line, verdict in zip(lines, [None, *(it.verdict for it in found.differences)], strict=True):
        color = _COLORS.get(verdict or "")
        _terminal.write(click.style(line, fg=color) if color else line)
    for it in found.differences:
        if it.verdict == "worse" and it.changed:
            _terminal.write(f"\n{_terminal.line(it.metric.name)}: look at")
            for changed in it.changed:
                _terminal.write(f"  {_session(changed)}")


def _row(it: Difference) -> tuple[str, ...]:
    sign = "+" if it.difference is not None and it.difference > 0 else ""
    return (
        it.metric.name,
        _metrics.value(it.a.value),
        _metrics.value(it.b.value),
        f"{sign}{_metrics.value(it.difference)}",
        _metrics.interval(it.low, it.high),
        f"{_metrics.behind(it.a)} / {_metrics.behind(it.b)}",
        it.verdict,
    )


def _session(it: Changed) -> str:
    text = f"{_terminal.line(it.session)}  {_metrics.value(it.value)}"
    if it.before is None:
        return text
    return f"{text}, before {_metrics.value(it.value_before)} in {_terminal.line(it.before)}"
