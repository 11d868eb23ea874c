"""The exporter used where no other is configured: one line of JSON per span, on standard error."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class StandardError(SpanExporter):
    """Writes to standard error, and past Python's buffer.

    What a full disk refuses would stay in that buffer, where the application's own next line
    meets it.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self._own = sys.stderr is sys.__stderr__  # Not a notebook's, or a test's.

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans*. A standard error that cannot be written to raises."""
        for span in spans:
            self._write(f"{span.to_json(indent=None)}\n")
        return SpanExportResult.SUCCESS

    def _write(self, line: str) -> None:
        if self._stream is None:
            message = "standard error is closed"
            raise OSError(message)
        if not self._own:
            self._stream.write(line)
            return
        left = line.encode("utf-8", "replace")
        while left:
            left = left[os.write(self._stream.fileno(), left) :]
