"""The part of a span that is shown, and where the spans of a session are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@dataclass(frozen=True)
class Span:
    """What is shown of one span."""

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
        """The duration in seconds."""
        return (self.end - self.start) / 1e9


class Spans(Protocol):
    """A store of spans. `Memory` is one; a store on disk can be another."""

    def of_session(self, session: str) -> Sequence[Span]:
        """Return the spans of one session."""

    def without_session(self) -> Sequence[Span]:
        """Return the spans that have no session."""


class Memory:
    """Keeps the spans of this process in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def of_session(self, session: str) -> Sequence[Span]:
        """Return the spans of one session."""
        return [span for span in self._all() if span.session == session]

    def without_session(self) -> Sequence[Span]:
        """Return the spans that have no session."""
        return [span for span in self._all() if span.session is None]

    def _all(self) -> Sequence[Span]:
        return [_shown(span) for span in self.exporter.get_finished_spans()]


def _shown(span: ReadableSpan) -> Span:
    attributes = span.attributes or {}

    def text(name: str) -> str | None:
        return str(attributes[name]) if name in attributes else None

    failed = span.status.status_code is StatusCode.ERROR
    total = attributes.get("llm.token_count.total")
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
