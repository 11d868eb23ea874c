"""The exporter used with ``CLEW_STORE=off``: one line of JSON per span, on standard error."""

import sys
from collections.abc import Sequence
from typing import TextIO

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from clew.core import standard_error


class StandardError(SpanExporter):
    """Writes spans to standard error."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans*; raise an error if standard error cannot be written to."""
        for span in spans:
            self._write(f"{span.to_json(indent=None)}\n")
        return SpanExportResult.SUCCESS

    def _write(self, line: str) -> None:
        if self._stream is None:
            message = "standard error is closed"
            raise OSError(message)
        standard_error.write(self._stream, line)
