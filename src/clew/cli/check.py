"""``clew check``: fails where sessions are beyond the limits that a project sets; for CI."""

import sys
from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _metrics, _terminal
from clew.cli._lookup import stored_user
from clew.cli._options import any_store_option, filter_options, json_option
from clew.cli._store import opened as open_store
from clew.core.errors import ClewError
from clew.evaluations.metrics.checking import Checked, check, limit_of
from clew.evaluations.metrics.reports import junit, line, markdown, to_data

_HELP = """Check sessions against limits: those of [tool.clew.check], or those that are given.

\b
    clew check --since 1h --junit clew.xml
    clew check "friction < 0.3" "cost <= 0.05" --each "friction < 0.9"
    clew check --metadata release=1.3 --markdown summary.md

It exits with 0 if all are kept; with 1 if one is not; with 2 if a figure is missing, nothing was
there to check, or the configuration is wrong.
"""
_COLORS = {"passed": "green", "failed": "red", "missing": "yellow"}


class _WrongError(click.ClickException):
    """What was asked cannot be checked: neither a pass nor a failure."""

    exit_code = 2


@click.command(help=_HELP, short_help="Fail where sessions are beyond your limits, for CI.")
@click.argument("limits", nargs=-1, metavar="[LIMIT]...")
@click.option("--each", multiple=True, metavar="LIMIT", help="One that each session has to keep.")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write JUnit's XML there.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a summary in Markdown there.",
)
@any_store_option
@json_option
@_metrics.config_option
@filter_options
def command(
    *,
    limits: tuple[str, ...],
    each: tuple[str, ...],
    junit_file: Path | None,
    markdown_file: Path | None,
    store: Path | str,
    as_json: bool,
    config: Path | None,
    **search: Any,
) -> None:
    """Check sessions against limits."""
    try:
        with open_store(store) as opened:
            search["user"] = stored_user(opened, search["user"])
            given = [limit_of(it, config) for it in limits]
            given += [limit_of(it, config, each=True) for it in each]
            found = check(opened, given or None, config=config, **_metrics.chosen(search))
    except ClewError as error:
        raise _WrongError(str(error)) from error
    for path, text in ((junit_file, junit), (markdown_file, markdown)):
        if path is not None:
            _write(path, text(found))
    if as_json:
        _data.write(to_data(found))
    else:
        _show(found)
    sys.exit(found.exit_code)


def _show(found: Checked) -> None:
    for it in found.results:
        outcome = click.style(it.outcome, fg=_COLORS[it.outcome])
        _terminal.write(f"{outcome}  {_terminal.line(it.message)}")
        for one in it.named:
            _terminal.write(f"    {_terminal.line(line(one))}")
    if not found.sessions:
        _terminal.write("There was no session to check.", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise _WrongError(message) from error
