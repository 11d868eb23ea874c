"""Reads the spans of a file of any known format, and reports what in it cannot be used."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.store.formats import langfuse, phoenix
from clew.store.formats.row import FormatError, Row
from clew.store.formats.rows import rows_of
from clew.store.otlp import MalformedError, TooLargeError, defect
from clew.store.otlp.json_decoder import from_parsed_json
from clew.store.record import SpanRecord

__all__ = ["FormatError", "Unusable", "read_spans"]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A line of a file, or a span in it, that cannot be used."""

    path: Path
    line: int
    """Its number; for Parquet that of the row, for a JSON array that of the element."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


def read_spans(path: Path, report: Callable[[Unusable], None]) -> Iterator[SpanRecord]:
    """Yield the spans of the file at *path*, and call *report* for what cannot be used.

    Raise FormatError for a file that cannot be read at all. The format is recognised line by line:

    - OTLP/JSON, one request on each line, as the Collector's file exporter and `clew export` write;
    - Phoenix's spans, as its client's `get_spans` and `get_spans_dataframe` return them, the latter
      as JSON or Parquet;
    - Langfuse's enriched observations, as its blob storage export writes them: JSONL, JSON, CSV,
      Parquet.

    All but Parquet may be compressed with gzip.
    """
    for row in rows_of(path):
        try:
            records = _records(row)
        except (MalformedError, TooLargeError) as error:
            report(Unusable(path, row.line, str(error)))
            continue
        except RecursionError:
            report(Unusable(path, row.line, "its values are nested too deeply"))
            continue
        for record in records:
            if reason := defect(record):
                report(Unusable(path, row.line, f"the span {record.name!r}: {reason}"))
            else:
                yield record


def _records(row: Row) -> list[SpanRecord]:
    if row.error:
        raise MalformedError(row.error)
    value: Any = row.value
    if not isinstance(value, Mapping):
        message = f"a {type(value).__name__} instead of an object"
        raise MalformedError(message)
    if "resourceSpans" in value:
        return from_parsed_json(value)
    for signal in ("Logs", "Metrics", "Profiles"):
        if f"resource{signal}" in value:
            message = f"{signal.lower()} of OpenTelemetry, no spans"
            raise MalformedError(message)
    if phoenix.is_span(value):
        return [phoenix.record_of(value)]
    if langfuse.is_observation(value):
        return [langfuse.record_of(value)]
    message = "neither OTLP/JSON, nor a span of Phoenix, nor an observation of Langfuse"
    raise MalformedError(message)
