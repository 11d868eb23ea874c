"""Spans that were made or received in a test, as the traces that they are parts of."""

from collections.abc import Iterable

from clew.store.record import SpanRecord


def by_trace(spans: Iterable[SpanRecord]) -> list[list[SpanRecord]]:
    """Return the spans of each trace, the traces in the order of their start."""
    traces: dict[bytes, list[SpanRecord]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        traces.setdefault(span.trace_id, []).append(span)
    return list(traces.values())
