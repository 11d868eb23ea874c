"""Runs an export to each kind of target, batch by batch, with a progress bar on a terminal."""

import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from clew.cli.export import parquet
from clew.cli.export.clickhouse import ClickHouse
from clew.cli.export.delivered import Delivered
from clew.cli.export.errors import ExportError
from clew.cli.export.jsonl import JsonLines
from clew.cli.export.lake import Lake
from clew.cli.export.otlp import Endpoint, Outcome
from clew.cli.export.result import Result, Source
from clew.evaluations.stored import FIRST, carriers_with_ids
from clew.sessions.carriers import is_carrier
from clew.store.otlp import to_json
from clew.store.reader import spans_with_ids
from clew.store.record import SpanRecord

_PER_BATCH = 512
_PER_INSERT = 5000
"""Each insert makes a file for each day in ClickHouse, which likes few and large ones."""
_RESTORED = (
    "The store was restored from a copy since the last export: what the target had is sent again."
)
_REFUSALS = 3
"""After so many batches of which no span was taken, there is no hope for the next one."""


def to_otlp(source: Source, endpoint: Endpoint, state: Path, kind: str = "otlp") -> Result:
    """Send what the endpoint has not been given; note each batch once it was answered."""
    with Delivered(state, source.connection, f"{kind} {endpoint.name}") as delivered:
        result = Result(endpoint.name)
        if delivered.is_of_later_store:
            result.note = _RESTORED
            delivered.forget()
        missing = delivered.missing(source.ids)
        result.already = len(source.ids) - len(missing)
        outcome = Outcome()
        refusals = 0
        try:
            for ids, records in _batches(source, missing):
                refused = endpoint.send(records, outcome) if records else []
                delivered.add(_without(source, ids, refused) if refused else ids)
                refusals += bool(refused)
                if refusals >= _REFUSALS and not outcome.accepted:
                    break
        except ExportError as error:
            result.error = str(error)
    result.exported, result.rejected = outcome.accepted, outcome.rejected
    result.refused, result.reasons = outcome.refused, list(outcome.reasons)
    return result


def _without(source: Source, ids: "array[int]", refused: Sequence[SpanRecord]) -> "array[int]":
    """Return those of *ids* that are not of *refused* records."""
    keys = {(it.trace_id, it.span_id) for it in refused}
    kept = array("q")
    for number in ids:
        if number < FIRST:
            records = [it for _, it in spans_with_ids(source.connection, [number])]
        else:
            records = carriers_with_ids(source.connection, [number])
        if keys.isdisjoint((it.trace_id, it.span_id) for it in records):
            kept.append(number)
    return kept


def to_clickhouse(source: Source, target: ClickHouse, state: Path) -> Result:
    """Insert what the table does not have; note what it has, many spans at a time."""
    with Delivered(state, source.connection, f"clickhouse {target.name}") as delivered:
        if delivered.is_of_later_store:
            delivered.forget()  # The table itself says what it has.
        missing = delivered.missing(source.ids)
        result = Result(target.name, already=len(source.ids) - len(missing))
        waiting = array("q")
        spans: list[SpanRecord] = []

        def insert() -> None:
            inserted = target.add(spans)
            result.exported += inserted
            result.already += len(spans) - inserted
            delivered.add(waiting)
            spans.clear()
            del waiting[:]

        try:
            for ids, records in _batches(source, missing):
                waiting += ids
                spans += records
                if len(spans) >= _PER_INSERT:
                    insert()
            if waiting:
                insert()
        except ExportError as error:
            result.error = str(error)
    return result


def to_json_lines(source: Source, path: Path, state: Path) -> Result:
    """Append to a file what it does not contain yet."""
    with (
        Delivered(state, source.connection, f"jsonl {path.absolute()}") as delivered,
        JsonLines(path, delivered) as file,
    ):
        missing = delivered.missing(source.ids)
        result = Result(str(path), already=len(source.ids) - len(missing))
        for ids, records in _batches(source, missing):
            if records:
                file.write(ids, records)
            result.exported += len(records)
    return result


def to_standard_output(source: Source) -> Result:
    """Print all as OTLP JSON lines."""
    result = Result("standard output")
    for _, records in _batches(source, source.ids):
        if records:
            sys.stdout.buffer.write(to_json(records) + b"\n")
            sys.stdout.buffer.flush()
        result.exported += len(records)
    return result


def to_parquet(source: Source, path: Path) -> Result:
    """Write all into a new file."""
    with _progress(len(source.ids)) as advance:
        written = parquet.write(source, path, advance)
    return Result(str(path), exported=written)


def to_lake(source: Source, folder: Path, state: Path) -> Result:
    """Add files with what the folder does not have yet, one for each day."""
    with Delivered(state, source.connection, f"parquet {folder.absolute()}") as delivered:
        lake = Lake(folder, delivered)
        spans, evaluations = delivered.missing(source.spans), delivered.missing(source.evaluations)
        missing = Source(source.connection, spans, evaluations)
        result = Result(str(folder), already=len(source.ids) - len(missing.ids))
        with _progress(len(missing.ids)) as advance:
            result.exported = lake.add(missing, advance)
    return result


def _batches(source: Source, ids: "array[int]") -> Iterator[tuple["array[int]", list[SpanRecord]]]:
    """Yield what has these ids, some at a time; what was deleted has no record.

    The ids ascend, so the evaluations come last, each as a span that carries it.
    """
    with _progress(len(ids)) as advance:
        for start in range(0, len(ids), _PER_BATCH):
            part = ids[start : start + _PER_BATCH]
            spans = [number for number in part if number < FIRST]
            records = [record for _, record in spans_with_ids(source.connection, spans)]
            if source.without_carriers:
                records = [record for record in records if not is_carrier(record)]
            records += carriers_with_ids(source.connection, part[len(spans) :])
            yield part, records
            advance(len(part))


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it is; yield what is told of each further number of spans."""
    if not length or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label="Exporting", file=sys.stderr) as bar:
        yield bar.update
