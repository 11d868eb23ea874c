"""The part of a span that is shown."""

from dataclasses import dataclass

from clew.store.record import ERROR, SpanRecord


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


def span_of(record: SpanRecord) -> Span:
    """Return what is shown of a stored span."""

    def text(name: str) -> str | None:
        return str(record.attributes[name]) if name in record.attributes else None

    total = record.attributes.get("llm.token_count.total")
    return Span(
        trace=record.trace_id,
        id=record.span_id,
        parent=record.parent_id,
        name=record.name,
        kind=text("openinference.span.kind") or "",
        session=text("session.id"),
        user=text("user.id"),
        tokens=total if isinstance(total, int) else None,
        start=record.start,
        end=record.end,
        error=(record.status_message or "failed") if record.status == ERROR else None,
    )
