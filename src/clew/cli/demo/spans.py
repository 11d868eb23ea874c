"""What is shown of a span, and where the spans of a session are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@dataclass(frozen=True)
class Span:
    """One span, as much of it as is shown."""

    trace: bytes
    id: bytes
    parent: bytes | None
    name: str
    kind: str
    session: str | None
    user: str | None
    tokens: int | None
    start: int
    end: int
    error: str | None
    service: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9


class Spans(Protocol):
    """Where spans are kept. Here in memory; a store on disk can take its place."""

    def of_session(self, session: str) -> Sequence[Span]:
        """Return the spans of one session."""

    def without_session(self) -> Sequence[Span]:
        """Return the spans that belong to none."""


class Memory:
    """Keeps the spans of this process, for as long as it runs."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def of_session(self, session: str) -> Sequence[Span]:
        """Return the spans of one session."""
        return [span for span in self._all() if span.session == session]

    def without_session(self) -> Sequence[Span]:
        """Return the spans that belong to none."""
        return [span for span in self._all() if span.session is None]

    def _all(self) -> Sequence[Span]:
        return [_shown(span) for span in self.exporter.get_finished_spans()]


def _shown(span: ReadableSpan) -> Span:
    said = span.attributes or {}

    def text(name: str) -> str | None:
        return str(said[name]) if name in said else None

    failed = span.status.status_code is StatusCode.ERROR
    total = said.get("llm.token_count.total")
    return Span(
        trace=span.context.trace_id.to_bytes(16),
        id=span.context.span_id.to_bytes(8),
        parent=span.parent.span_id.to_bytes(8) if span.parent else None,
        name=span.name,
        kind=text("openinference.span.kind") or "",
        session=text("session.id"),
        user=text("user.id"),
        tokens=total if isinstance(total, int) else None,
        start=span.start_time or 0,
        end=span.end_time or 0,
        error=(span.status.description or "failed") if failed else None,
    )
