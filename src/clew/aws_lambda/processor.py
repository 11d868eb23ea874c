"""A span processor that exports before a function of Lambda answers.

It needs OpenTelemetry's SDK, which does not import where a variable of it is wrong, and so it is
imported only when it is used.
"""

from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor


class FlushingProcessor(SpanProcessor):
    """Exports the spans that have ended, each time that an outermost span ends."""

    active = True
    """False after ``uninstrument_all()``: a provider has no way to remove a processor."""

    def __init__(self, flush_after: Callable[[ReadableSpan], None]) -> None:
        """Call *flush_after* with each span that ends."""
        self._flush_after = flush_after

    def on_end(self, span: ReadableSpan) -> None:
        """Flush, if *span* is not inside another one of this process."""
        if self.active:
            self._flush_after(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: this processor keeps no spans."""
        return True
