"""Reads the rows of a file one after the other: lines of JSON, a JSON array, CSV or Parquet."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, AnyStr

from clew.store.formats.parquet import rows_of_parquet
from clew.store.formats.row import FormatError, Row
from clew.store.otlp import MalformedError
from clew.store.otlp.json_decoder import parse_json

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
MOST_OF_A_LINE = 2**28
"""The most bytes of a line, and of a cell of CSV: a small compressed file may contain huge ones."""
MOST_OF_A_DOCUMENT = 2**30
"""The most bytes of a JSON document, which has to be read as a whole."""


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of the file at *path*."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start == _ZSTD:
                message = f"{path} is compressed with zstd; decompress it first: zstd -d {path}"
                raise FormatError(message)
            if start == _PARQUET:
                yield from rows_of_parquet(file, path)
            elif start[:2] == _GZIP:
                with gzip.open(file) as inside:
                    yield from _of_text(io.BufferedReader(inside), path)
            else:
                yield from _of_text(file, path)
    except (OSError, EOFError, csv.Error, zlib.error) as error:
        message = f"{path} cannot be read: {error}"
        raise FormatError(message) from error


def _of_text(file: IO[bytes], path: Path) -> Iterator[Row]:
    lines = enumerate(_without_mark(_lines(file, path)), 1)
    first_number, first = next(((at, line) for at, line in lines if line.strip()), (0, b""))
    first = first.strip()
    if not first:
        return
    if first.startswith(b"[") or first == b"{":
        document = first + b"\n" + file.read(MOST_OF_A_DOCUMENT + 1)
        if len(document) > MOST_OF_A_DOCUMENT:
            message = (
                f"{path} is one JSON document of more than {MOST_OF_A_DOCUMENT:,} bytes; write its "
                "elements on lines of their own, which are read one after the other"
            )
            raise FormatError(message)
        yield from _of_document(document, path)
    elif first.startswith(b"{"):
        yield _row(first_number, first)
        yield from (_row(number, line) for number, line in lines if line.strip())
    elif b"trace_id" in first:
        text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
        yield from _of_csv(first.decode(errors="replace"), _lines(text, path))
    else:
        message = (
            f"{path} has no known format: its first line is neither JSON nor the head of a CSV file"
            " with the column trace_id. The Collector's file exporter has to write format: json."
        )
        raise FormatError(message)


def _lines(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of *file*; raise FormatError for one that is too long."""
    while line := file.readline(MOST_OF_A_LINE + 1):
        if len(line) > MOST_OF_A_LINE:
            message = f"{path} has a line of more than {MOST_OF_A_LINE:,} bytes, which is no span"
            raise FormatError(message)
        yield line


def _without_mark(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *lines* without the mark that Windows puts before a text in UTF-8."""
    for first in lines:
        yield first.removeprefix(b"\xef\xbb\xbf")
        break
    yield from lines


def _row(number: int, line: bytes) -> Row:
    try:
        return Row(number, parse_json(line))
    except MalformedError as error:
        return Row(number, error=str(error))


def _of_document(document: bytes, path: Path) -> Iterator[Row]:
    try:
        value = parse_json(document)
    except MalformedError as error:
        message = f"{path} is {error}"
        raise FormatError(message) from error
    values = value if isinstance(value, list) else [value]
    yield from (Row(number, each) for number, each in enumerate(values, 1))


def _of_csv(head: str, lines: Iterable[str]) -> Iterator[Row]:
    # What is said to a model is longer than a field usually is.
    csv.field_size_limit(MOST_OF_A_LINE)
    columns = next(csv.reader([head]))
    reader = csv.reader(lines)
    line = 2
    for cells in reader:
        if len(cells) == len(columns):
            yield Row(line, dict(zip(columns, cells, strict=True)))
        elif cells:
            yield Row(line, error=f"{len(cells)} cells instead of {len(columns)}")
        line = reader.line_num + 2
