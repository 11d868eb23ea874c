"""The options that several commands have in common."""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from clew.cli import _terminal
from clew.cli._cancelling import cancellable
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.location import check_kind, is_url, shown, sqlite_path, window_of
from clew.sessions.listing import Order, Rated
from clew.sessions.opening import copy_of, copy_of_sessions, send_back
from clew.store.database import StoreError
from clew.store.location import store_path

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIME = "clew.time-of-copy"
_AGO = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})")


def moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return the moment that an option names."""
    return None if text is None else moment_of(text)


def moment_of(text: str) -> datetime:
    """Return the moment that *text* names: an ISO date, or how long ago it was."""
    try:
        if ago := _AGO.fullmatch(text.strip().lower()):
            span = timedelta(**{_UNITS[ago[2]]: float(ago[1])})
            return datetime.now().astimezone() - span
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        message = (
            f"{text!r} is no time; write 30m, 2h or 3d (ago), or a date such as 2026-01-31, "
            "with or without 14:30 after a T"
        )
        raise click.BadParameter(message) from None


def duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    """Return the time that *text* names, such as 60s or 5m."""
    if text is None:
        return None
    try:
        if found := _AGO.fullmatch(text.strip().lower()):
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        pass
    message = f"{text!r} is no time; write 60s, 5m or 2h"
    raise click.BadParameter(message)


def pairs(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    """Return the names and values that are *given* as ``name=value``."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            message = f"{text!r} is no name and value; write release=1.2"
            raise click.BadParameter(message)
        found[name] = value
    return found or None


def _place(_: click.Context, __: click.Parameter, given: str | None) -> Path:
    found = _store(given)
    if isinstance(found, Path):
        return found
    message = (
        f"{shown(found)} is no SQLite store, which this command needs; "
        "sessions, users, metrics, compare, check, view, evaluate, export, forget, engines and mcp "
        "ask engines, too"
    )
    raise StoreError(message)


def _place_of_copy(context: click.Context, _: click.Parameter, given: str | None) -> Path:
    found = _store(given)
    if isinstance(found, Path):
        return found
    context.call_on_close(lambda: send_back(found))  # What people say on the page.
    context.meta[_TIME] = window_of(found)
    return copied(found)


def time_of_copy(context: click.Context) -> Window:
    """Return which time of the copy is meant: it has what was copied before, too."""
    window: Window = context.meta.get(_TIME, Window())
    return window


def searched_in(window: Window, search: Mapping[str, Any]) -> dict[str, Any]:
    """Return *search* for sessions that were going on in the *window*, too."""
    found = dict(search)
    for name, bound, choose in (("since", window.since_ns, max), ("until", window.until_ns, min)):
        if bound is not None:
            moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=bound // 1000)
            given = found.get(name)
            found[name] = moment if given is None else choose(moment, given)
    return found


def copied(url: str) -> Path:
    """Copy the spans on an engine into a file, telling how far that is; return the file."""
    with cancellable() as watch:
        return copy_of(url, tell_copied, watch.engines.append)


def copied_sessions(store: Path | str, sessions: Sequence[str]) -> Path:
    """Return a file with these *sessions*: the store itself, or a copy, if it is on an engine."""
    if isinstance(store, Path):
        return store
    with cancellable() as watch:
        return copy_of_sessions(store, sessions, tell_copied, watch.engines.append).path


def tell_copied(traces: int) -> None:
    """Say how far a copy is, where somebody watches."""
    if sys.stderr.isatty():
        _terminal.write(f"Copying what is new: {traces:,} traces", err=True)


def _place_or_url(_: click.Context, __: click.Parameter, given: str | None) -> Path | str:
    return _store(given)


def _store(given: str | None) -> Path | str:
    if given is not None and is_url(given):
        if (file := sqlite_path(given)) is not None:
            return file
        try:
            check_kind(given)
        except EngineError as error:
            raise click.BadParameter(str(error)) from error
        return given
    # As for CLEW_STORE, an empty text is none: the variable of a script may be unset.
    place = Path(given) if given and given.strip() else store_path()
    if place is None:
        message = "CLEW_STORE=off: there is no store; name one with --store FILE"
        raise StoreError(message)
    if place.is_dir():
        message = f"{str(place)!r} is a folder; of Parquet files, write parquet:{place}"
        raise click.BadParameter(message)
    return place


store_option = click.option(
    "--store",
    metavar="FILE",
    callback=_place,
    help="The store to use.  [default: CLEW_STORE, or .clew/sessions.db]",
)
copied_store_option = click.option(
    "--store",
    metavar="FILE|URL",
    callback=_place_of_copy,
    help="The store to use, or an engine, such as clickhouse://HOST/DATABASE?since=7d: its spans "
    "are copied into a file first.  [default: CLEW_STORE, or .clew/sessions.db]",
)
any_store_option = click.option(
    "--store",
    metavar="FILE|URL",
    callback=_place_or_url,
    help="The store to use, or an engine: duckdb:FILE, parquet:FOLDER, clickhouse://HOST/DATABASE, "
    "or sc://HOST:PORT.  [default: CLEW_STORE, or .clew/sessions.db]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
order_option = click.option(
    "--order-by",
    "--order",
    "order_by",
    type=click.Choice(get_args(Order)),
    default="last",
    show_default=True,
    help="What to sort by, the highest first: last is when the last turn ended, latency what 95 % "
    "of the turns did not exceed, worst the greater of friction and failure, then the share "
    "of turns that failed.",
)

_FILTERS = (
    click.option("--user", metavar="ID", help="Only sessions of this user."),
    click.option("--text", metavar="WORDS", help="Only where all these words were said in a turn."),
    click.option("--model", metavar="NAME", help="Only where this model was called."),
    click.option("--framework", metavar="NAME", help="Only where this framework was used."),
    click.option("--tool", metavar="NAME", help="Only where this tool was called."),
    click.option("--tag", metavar="TAG", help="Only with a turn that has this tag."),
    click.option(
        "--metadata",
        metavar="NAME=VALUE",
        multiple=True,
        callback=pairs,
        help="Only with a turn whose metadata has this.",
    ),
    click.option(
        "--since",
        metavar="TIME",
        callback=moment,
        help="Only with a turn after: 2h, 3d or 2026-01-31.",
    ),
    click.option(
        "--until", metavar="TIME", callback=moment, help="Only those that began before: as --since."
    ),
    click.option(
        "--errors/--no-errors", default=None, help="Only where something failed, or nothing did."
    ),
    click.option(
        "--rated",
        type=click.Choice(get_args(Rated)),
        help="Only what a person rated on the page as good or bad, or said any thing about.",
    ),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which sessions are wanted."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def refuse(why: str, *, names: Collection[str] = (), but: Collection[str] = ()) -> None:
    """Raise an error that says *why*, if one of these options was given; if none, any *but* these.

    An option that has no effect would be taken for one that has.
    """
    context = click.get_current_context()
    for it in context.command.params:
        name = it.name or ""
        if name in but or (names and name not in names) or isinstance(it, click.Argument):
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            message = f"{it.opts[0]} {why}"
            raise click.UsageError(message)
