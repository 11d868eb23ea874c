"""The exporter used with ``CLEW_STORE=off``: one line of JSON per span, on standard error."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class StandardError(SpanExporter):
    """Writes spans to standard error, without Python's buffer.

    What cannot be written to a full disk would stay in that buffer, and the application's own next
    line would fail because of it.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self._is_original = sys.stderr is sys.__stderr__  # Not a notebook's or a test's.

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans*; raise an error if standard error cannot be written to."""
        for span in spans:
            self._write(f"{span.to_json(indent=None)}\n")
        return SpanExportResult.SUCCESS

    def _write(self, line: str) -> None:
        if self._stream is None:
            message = "standard error is closed"
            raise OSError(message)
        if not self._is_original:
            self._stream.write(line)
            return
        remaining = line.encode("utf-8", "replace")
        while remaining:
            remaining = remaining[os.write(self._stream.fileno(), remaining) :]
