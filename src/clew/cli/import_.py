"""``clew import``: adds the spans in files to the store."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

import click

from clew.cli import _data, _terminal
from clew.cli._options import json_option, store_option
from clew.core.wording import number_of
from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import connect
from clew.store.formats import FormatError, Unusable, read_spans
from clew.store.record import SpanRecord
from clew.store.writer import Writer

_PER_BATCH = 1000
_MOST_SHOWN = 10


@dataclass
class _Result:
    """What became of one file."""

    file: str
    new: int = 0
    already: int = 0
    unusable: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    def report(self, found: Unusable) -> None:
        self.unusable.append({"line": found.line, "reason": found.reason})


_HELP = """Add the spans in FILES to the store; - reads standard input.

\b
What can be read, compressed with gzip or not:
    OTLP JSON lines, as clew export and the Collector's file exporter write them
    spans of Phoenix, as its client returns them: JSON or Parquet
    observations of Langfuse, as its blob storage export writes them: JSONL, JSON, CSV, Parquet

A span that is in the store already is not added again. It exits with 1 if something could not be
used; the rest is added nevertheless.
"""


@click.command(help=_HELP, short_help="Add the spans in files to the store.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@store_option
@json_option
def command(*, files: tuple[Path, ...], store: Path, as_json: bool) -> None:
    """Import spans."""
    with closing(connect(store, create=True)) as connection:
        writer = Writer(connection)
        results = []
        for file in files:
            results.append(_add(writer, file))
            if not as_json:
                for line in _told(results[-1]):
                    _terminal.write(line)
        bring_up_to_date(connection)
        compact(connection)
    if as_json:
        _data.write([vars(result) for result in results])
    sys.exit(1 if any(result.unusable or result.error for result in results) else 0)


def _add(writer: Writer, file: Path) -> _Result:
    """Add the spans in one file; what cannot be used is reported in the result."""
    result = _Result("standard input" if str(file) == "-" else str(file))
    try:
        with _readable(file) as path:
            for records in _batches(read_spans(path, result.report)):
                new = writer.add(records)
                result.new += new
                result.already += len(records) - new
    except FormatError as error:
        result.error = str(error)
    return result


def _batches(records: Iterable[SpanRecord]) -> Iterator[list[SpanRecord]]:
    """Yield some records at a time; where reading fails, first those that could be read."""
    batch: list[SpanRecord] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == _PER_BATCH:
                yield batch
                batch = []
    except FormatError:
        yield batch
        raise
    if batch:
        yield batch


@contextmanager
def _readable(file: Path) -> Iterator[Path]:
    """Yield a file that can be read from its beginning several times."""
    is_standard_input = str(file) == "-"
    if not is_standard_input and not file.is_fifo():
        yield file
        return
    with NamedTemporaryFile(prefix="clew-import-") as copy:
        with nullcontext(sys.stdin.buffer) if is_standard_input else _opened(file) as pipe:
            shutil.copyfileobj(pipe, copy)
        copy.flush()
        yield Path(copy.name)


def _opened(pipe: Path) -> BinaryIO:
    try:
        return pipe.open("rb")
    except OSError as error:
        message = f"{pipe} cannot be read: {error}"
        raise FormatError(message) from error


def _told(result: _Result) -> Iterator[str]:
    already = f", {result.already:,} already there" if result.already else ""
    yield f"{_terminal.line(result.file)}: {number_of(result.new, 'new span')}{already}"
    for found in result.unusable[:_MOST_SHOWN]:
        reason = _terminal.line(found["reason"])
        yield click.style(f"  line {found['line']} cannot be used: {reason}", fg="red")
    if (more := len(result.unusable) - _MOST_SHOWN) > 0:
        yield click.style(f"  and {more:,} more", fg="red")
    if result.error:
        yield click.style(f"  {_terminal.line(result.error)}", fg="red")
