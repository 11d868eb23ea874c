"""``clew export``: gives the spans of the store to another program."""

import os
import re
import sqlite3
import sys
from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _terminal
from clew.cli._lookup import find, number_of_spans, stored_user
from clew.cli._options import (
    copied_store_option,
    filter_options,
    json_option,
    searched_in,
    time_of_copy,
)
from clew.cli.export.addresses import is_url
from clew.cli.export.errors import ExportError
from clew.cli.export.result import Folder, Result, Source
from clew.cli.export.selection import all_spans, sessions_like, spans_in, spans_of
from clew.core.wording import number_of
from clew.evaluations.stored import current_ones, evaluations_to_export
from clew.sessions.store import SessionStore
from clew.store.database import connect

_HELP = """Give spans and evaluations to another program: to an OTLP endpoint, or in a file.

\b
    clew export --to otlp --endpoint http://localhost:4318     as OTLP
    clew export --to phoenix --endpoint http://localhost:6006  evaluations as its annotations
    clew export --to jsonl spans.jsonl.gz                      OTLP JSON lines; - for a pipe
    clew export --to parquet spans.parquet --since 7d          a table; needs pyarrow
    clew export --to parquet lake/                             a folder of tables, one for each day
    clew export --to clickhouse clickhouse://HOST/DATABASE     as the Collector does

Without further options everything is exported, otherwise the sessions that are chosen. Each
evaluation is a span, as OpenInference defines it, and clew import reads it back; Phoenix is given
those that count as annotations, by its own client. It is kept beside the store what a target has
been given (but for a single parquet file), so that an export that was interrupted goes on where it
stopped, and one that is repeated adds what is new.

It exits with 1 if the target did not take every span.
"""

_CLICKHOUSE = ("clickhouse:", "chdb:")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""What URLs begin with; ``C:`` begins a path."""


def _url(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and not is_url(text):
        message = f"{text!r} is no URL; write http://host:4318"
        raise click.BadParameter(message)
    return text


def _pairs(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> Mapping[str, str]:
    pairs = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            message = "write NAME=VALUE"  # Not what was given: it may be a secret.
            raise click.BadParameter(message)
        if not (text.isascii() and text.isprintable()):
            message = "a header has only the characters of ASCII, and no line breaks"
            raise click.BadParameter(message)
        pairs[name.strip()] = value.strip()
    return pairs


class _Target(click.Path):
    """A file, a folder, which is there or ends with a slash, or a URL, such as a ClickHouse's."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, str) and (value.startswith(_CLICKHOUSE) or _SCHEME.match(value)):
            return value
        path = Path(str(super().convert(value, param, ctx)))
        is_folder = path.is_dir() or str(value).endswith(("/", os.sep))
        return Folder(path) if is_folder else path


@click.command(help=_HELP, short_help="Give spans to an OTLP endpoint, or write them to a file.")
@click.argument("file", required=False, type=_Target())
@click.option(
    "--to",
    required=True,
    type=click.Choice(["otlp", "phoenix", "jsonl", "parquet", "clickhouse"]),
)
@click.option(
    "--endpoint", metavar="URL", callback=_url, help="Of otlp: such as http://localhost:4318."
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Of otlp: a header to send along, with a key, say. It can be given several times.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it is kept what was delivered.  [default: beside the store]",
)
@copied_store_option
@json_option
@click.option("--session", metavar="ID", help="Only this session.")
@filter_options
def command(
    *,
    file: Path | Folder | str | None,
    to: str,
    endpoint: str | None,
    headers: Mapping[str, str],
    state: Path | None,
    store: Path,
    as_json: bool,
    session: str | None,
    **search: Any,
) -> None:
    """Export spans."""
    _check(to, file, endpoint, headers)
    window = time_of_copy(click.get_current_context())
    state = state or store.with_name(f"{store.name}-exported")
    with SessionStore(store) as opened:
        if to == "phoenix":
            opened.catch_up()  # With the evaluations that spans carry, and with turns.
        search["user"] = stored_user(opened, search["user"])
        chosen = None if session is None else iter([_id_of(opened, session)])
        if chosen is None and any(value is not None for value in search.values()):
            chosen = sessions_like(opened, searched_in(window, search))
        with closing(connect(store, read_only=True)) as connection:
            is_part = chosen is not None or window.is_bounded
            if chosen is not None:
                ids = spans_of(connection, chosen, window)
            else:
                ids = spans_in(connection, window) if is_part else all_spans(connection)
            if to == "phoenix":
                result = _to_phoenix(
                    connection, ids, (str(endpoint), headers), state, is_part=is_part
                )
            else:
                said = evaluations_to_export(connection, chosen=is_part)
                source = Source(connection, ids, said)
                result = _export(source, to, file, state, (endpoint, headers))
    to_pipe = str(file) == "-"
    if as_json and not to_pipe:
        _data.write(asdict(result))
    else:
        for line in _told(result):
            _terminal.write(line, err=to_pipe)
    sys.exit(0 if result.complete else 1)


def _id_of(store: SessionStore, typed: str) -> str:
    """Return the id of the session that is meant; one that has spans needs no turn."""
    return typed if number_of_spans(store, typed) else find(store, typed).id


def _export(
    source: Source,
    to: str,
    file: Path | Folder | str | None,
    state: Path,
    address: tuple[str | None, Mapping[str, str]],
) -> Result:
    from clew.cli.export import runs
    from clew.cli.export.clickhouse import ClickHouse
    from clew.cli.export.otlp import Endpoint

    if to == "clickhouse":
        with ClickHouse(str(file)) as target:
            return runs.to_clickhouse(source, target, state)
    endpoint, headers = address
    if endpoint is not None:
        return runs.to_otlp(source, Endpoint(endpoint, headers), state)
    if str(file) == "-":
        return runs.to_standard_output(source)
    try:
        if isinstance(file, Folder):
            return runs.to_lake(source, file.path, state)
        write = runs.to_parquet if to == "parquet" else partial(runs.to_json_lines, state=state)
        return write(source, Path(str(file)))
    except OSError as error:
        place = file.path if isinstance(file, Folder) else file
        message = f"{place} cannot be written: {error.strerror or error}"
        raise ExportError(message) from error


def _to_phoenix(
    connection: sqlite3.Connection,
    ids: "array[int]",
    address: tuple[str, Mapping[str, str]],
    state: Path,
    *,
    is_part: bool,
) -> Result:
    """Send spans, and evaluations as annotations of what Phoenix then shows."""
    from clew.cli.export import phoenix, runs
    from clew.cli.export.otlp import Endpoint

    client = phoenix.client_of(*address)  # Before anything is sent.
    nothing = array("q")
    source = Source(connection, ids, nothing, without_carriers=True)
    result = runs.to_otlp(source, Endpoint(*address), state, "phoenix")
    if not result.error:
        phoenix.annotate(client, connection, current_ones(connection, chosen=is_part), result)
    return result


def _check(
    to: str, file: Path | Folder | str | None, endpoint: str | None, headers: object
) -> None:
    """Raise an error if the options do not fit the target."""
    if to in {"otlp", "phoenix"}:
        if file is not None or endpoint is None:
            port = 4318 if to == "otlp" else 6006
            message = f"--to {to} needs --endpoint http://host:{port}, and no file"
            raise click.UsageError(message)
        return
    if endpoint is not None or headers:
        message = "--endpoint and --header belong to --to otlp and --to phoenix"
        raise click.UsageError(message)
    if to == "clickhouse":
        if not isinstance(file, str) or not file.startswith(_CLICKHOUSE):
            message = "--to clickhouse needs a URL, such as clickhouse://HOST/DATABASE"
            raise click.UsageError(message)
        return
    if isinstance(file, str):
        message = f"--to {to} needs a file, and no URL: clew export --to {to} spans.{to}"
        if to == "parquet":
            message += ". For a bucket, export to a folder, lake/, and copy that there"
        raise click.UsageError(message)
    if isinstance(file, Folder) and to != "parquet":
        message = f"--to {to} needs a file, and {file.path} is a folder"
        raise click.UsageError(message)
    if file is None or (to == "parquet" and str(file) == "-"):
        message = f"--to {to} needs a file: clew export --to {to} spans.{to}"
        raise click.UsageError(message)


def _told(result: Result) -> Iterator[str]:
    """Yield lines that say what became of the spans."""
    already = f"; it had {number_of(result.already, 'span')} already" if result.already else ""
    yield f"Exported {number_of(result.exported, 'span')} to {result.to}{already}."
    if result.note:
        yield result.note
    if result.annotated is not None:
        yield f"It was given {number_of(result.annotated, 'evaluation')} as annotations."
    if result.rejected:
        yield click.style(
            f"{number_of(result.rejected, 'span')} rejected: the target does not store them, and "
            "they are not sent again.",
            fg="red",
        )
    if result.refused:
        yield click.style(
            f"{number_of(result.refused, 'span')} refused: the next export sends them again.",
            fg="red",
        )
    for reason in result.reasons:
        yield f"  {_terminal.line(reason)}"
    if result.error:
        yield click.style(f"It ended too early: {_terminal.line(result.error)}", fg="red")
        yield "The same command goes on from there."
