"""Writes spans as lines of OTLP JSON, as the file exporter of OpenTelemetry's Collector does."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from clew.cli.export.delivered import Delivered
from clew.cli.export.errors import ExportError
from clew.store.otlp import to_json
from clew.store.record import SpanRecord


class JsonLines:
    """A file to which batches are appended, each whole or not at all; ``.gz`` is compressed."""

    def __init__(self, path: Path, delivered: Delivered) -> None:
        """Undo what an interrupted export has left unfinished in the file."""
        self._path, self._delivered = path, delivered
        size = path.stat().st_size if path.exists() else 0
        if size < delivered.size or not path.exists():
            delivered.forget()
        if size > max(delivered.size, delivered.next_size):
            what = "was changed since" if delivered.size else "is there already"
            message = f"{path} {what}, and is left as it is; name another file"
            raise ExportError(message)
        delivered.refuse_later_store(path)
        self._file = path.open("ab")
        self._file.truncate(delivered.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, ids: Sequence[int], records: Sequence[SpanRecord]) -> None:
        """Append *records*, which have these *ids* in the store, and note that."""
        line = to_json(records) + b"\n"
        if self._path.suffix == ".gz":
            line = gzip.compress(line, 5)
        size = self._delivered.size + len(line)
        self._delivered.announce(size)
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._delivered.add(ids, size)
