"""``clew engines``: clew's tables on an engine, and summaries of what is new there."""

from contextlib import closing
from pathlib import Path

import click

from clew.cli import _data, _terminal
from clew.cli._options import any_store_option, json_option
from clew.cli._store import opened
from clew.core.errors import ClewError
from clew.sessions.engines.location import connect_source, shown

_HELP = """Prepare an engine, such as ClickHouse, and summarise what is new there.

\b
    clew engines init --store URL            make clew's tables there, beside the spans
    clew engines init --store URL --print    only print the statements
    clew engines update --store URL          summarise what is new, for a job that runs by the clock

Without tables on the engine, clew keeps what it finds in a file on this machine.
"""


class NoEngineError(ClewError):
    """A file was named where an engine is needed."""


@click.group(help=_HELP, short_help="Prepare an engine, and summarise what is new there.")
def command() -> None:
    """Prepare engines."""


@command.command(short_help="Make clew's tables on an engine, or print how.")
@any_store_option
@click.option("--print", "only_print", is_flag=True, help="Print the statements, and run nothing.")
def init(*, store: Path | str, only_print: bool) -> None:
    """Make clew's tables on the engine: clew_session, clew_turn and others.

    Everybody who may read them has the same sessions then, and can ask for them in SQL.
    """
    if _url(store).startswith("parquet:"):
        message = f"{store} are only files; clew keeps what it finds in a file on this machine"
        raise NoEngineError(message)
    with closing(connect_source(_url(store))) as engine:
        statements = engine.table_statements()
        if not only_print:
            for statement in statements:
                engine.execute(statement)
    for statement in statements if only_print else ():
        _terminal.write(f"{statement};")
    if not only_print:
        _terminal.write(f"{len(statements)} tables are there: {shown(_url(store))}")


@command.command(short_help="Summarise what is new on an engine.")
@any_store_option
@json_option
def update(*, store: Path | str, as_json: bool) -> None:
    """Summarise and score what is new. Commands that ask questions do it first themselves."""
    with opened(_url(store)) as found:
        found.catch_up()
        (row,) = found.sql("SELECT count(*) AS sessions, sum(turns) AS turns FROM sessions")
    if as_json:
        _data.write(row)
        return
    _terminal.write(f"Up to date: {row['sessions']:,} sessions, {row['turns'] or 0:,} turns")


def _url(store: Path | str) -> str:
    if isinstance(store, Path):
        message = f"{store} is a file, and needs no tables; name an engine with --store URL"
        raise NoEngineError(message)
    return store
