"""Writes spans to a Parquet file: a row for each, by day and session; then those of evaluations."""

import json
import os
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from clew.cli.export.errors import ExportError
from clew.cli.export.result import Source
from clew.evaluations.stored import carriers_with_ids
from clew.store.columns import split
from clew.store.encoding import tagged, to_json
from clew.store.otlp.limits import encodable
from clew.store.reader import spans_with_ids
from clew.store.record import KINDS, SpanRecord
from clew.store.replacing import replace

PIP_LINE = "python -m pip install pyarrow"
DAY = 86_400 * 10**9
"""Nanoseconds."""
_ROWS_PER_READ = 1000
_ROWS_PER_GROUP = 50_000
_TEXT_PER_GROUP = 32_000_000
"""A group is kept in memory until it is written: of long conversations, fewer rows."""
_MAGIC = b"PAR1"
"""What a Parquet file begins with."""
_STATUSES = ("UNSET", "OK", "ERROR")
_COLUMNS = {
    "day": "date32",
    "session_id": "string",
    "user_id": "string",
    "trace_id": "string",
    "span_id": "string",
    "parent_id": "string",
    "name": "string",
    "kind": "string",
    "span_kind": "string",
    "start": "time",
    "end": "time",
    "seconds": "float64",
    "status": "string",
    "status_message": "string",
    "model": "string",
    "provider": "string",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "total_tokens": "int64",
    "cached_tokens": "int64",
    "reasoning_tokens": "int64",
    "cost": "float64",
    "service": "string",
    "scope": "string",
    "attributes": "string",
    "events": "string",
    "links": "string",
    "resource": "string",
}
_ATTRIBUTES = list(_COLUMNS).index("attributes")


def write(source: Source, path: Path, wrote: Callable[[int], None]) -> int:
    """Write what is exported to *path*, at once when it is complete; return how many rows.

    *wrote* is told of each number of rows that have been written. A file that is no Parquet is left
    as it is, as is what is no file.
    """
    path = path.resolve()  # A link stays, and what it names is replaced.
    _refuse_others(path)
    days = by_day_and_session(source.connection, source.spans)
    ids = array("q", (number for day in sorted(days) for number in days[day]))
    ordered = Source(source.connection, ids, source.evaluations)
    partial = partial_of(path)
    try:
        written = write_rows(ordered, partial, wrote)
        replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return written


def _refuse_others(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_file():
        message = f"{path} is no regular file, and is left as it is; name another one"
        raise ExportError(message)
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC:
        message = f"{path} is there already, is no Parquet, and is left as it is; name another file"
        raise ExportError(message)


def partial_of(path: Path) -> Path:
    """Return the file in which *path* is written until it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def write_rows(
    source: Source, path: Path, wrote: Callable[[int], None], without: Sequence[str] = ()
) -> int:
    """Write a row for each span, in the order of *source*; return how many those are.

    The file has all columns but those that it is to be *without*.
    """
    try:
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        message = f"--to parquet needs pyarrow; {PIP_LINE}"
        raise ExportError(message) from error
    types = {"date32": pyarrow.date32(), "time": pyarrow.timestamp("ns", "UTC")}
    schema = pyarrow.schema(
        [(name, types.get(kind) or getattr(pyarrow, kind)()) for name, kind in _COLUMNS.items()]
    )
    kept = [name for name in _COLUMNS if name not in without]
    kept_schema = pyarrow.schema([schema.field(name) for name in kept])
    written = 0
    with parquet.ParquetWriter(path, kept_schema, compression="zstd") as writer:
        for rows in _groups(_rows(source, wrote)):
            columns = list(map(list, zip(*rows, strict=True)))
            arrays = [
                pyarrow.array(values, field.type)
                for values, field in zip(columns, schema, strict=True)
            ]
            table = pyarrow.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table.select(kept))
            written += len(rows)
    return written


def _groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[_ATTRIBUTES])
        if len(group) == _ROWS_PER_GROUP or size > _TEXT_PER_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _rows(source: Source, wrote: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    connection = source.connection
    for start in range(0, len(source.spans), _ROWS_PER_READ):
        part = source.spans[start : start + _ROWS_PER_READ]
        found = dict(spans_with_ids(connection, part))
        for number in part:
            if number in found:  # It may have been deleted meanwhile.
                yield _row(found[number])
        wrote(len(part))
    for start in range(0, len(source.evaluations), _ROWS_PER_READ):
        part = source.evaluations[start : start + _ROWS_PER_READ]
        yield from map(_row, carriers_with_ids(connection, part))
        wrote(len(part))


def by_day_and_session(
    connection: sqlite3.Connection, ids: "array[int]"
) -> Mapping[int, "array[int]"]:
    """Return *ids* by the day (UTC, since 1970) of the span, each in order of session and start."""
    connection.execute("CREATE TEMP TABLE chosen (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO chosen VALUES (?)", ((number,) for number in ids))
    query = """
        SELECT start_ns / ?, span.id FROM chosen CROSS JOIN span ON span.id = chosen.id
        ORDER BY start_ns / ?, session_id, start_ns, span.id
    """
    days: dict[int, array[int]] = defaultdict(lambda: array("q"))
    for day, number in connection.execute(query, (DAY, DAY)):
        days[day].append(number)
    return days


def _row(record: SpanRecord) -> tuple[Any, ...]:
    values, _ = split(record.attributes)
    session, user, kind, model, provider, *tokens, cost = values
    return (
        record.start // DAY,
        session,
        user,
        record.trace_id.hex(),
        record.span_id.hex(),
        record.parent_id.hex() if record.parent_id else None,
        encodable(record.name),
        kind,
        KINDS[record.kind] if record.kind < len(KINDS) else str(record.kind),
        record.start,
        record.end,
        (record.end - record.start) / 1e9,
        _STATUSES[record.status] if record.status < len(_STATUSES) else str(record.status),
        encodable(record.status_message) or None,
        model,
        provider,
        *tokens,
        cost,
        _text(record.resource.attributes.get("service.name")),
        encodable(record.scope.name) or None,
        to_json(tagged(record.attributes)),
        json.dumps([[it.name, it.time, tagged(it.attributes)] for it in record.events])
        if record.events
        else None,
        json.dumps(
            [[it.trace_id.hex(), it.span_id.hex(), tagged(it.attributes)] for it in record.links]
        )
        if record.links
        else None,
        to_json(tagged(record.resource.attributes)),
    )


def _text(value: object) -> str | None:
    return encodable(value) if isinstance(value, str) else None
