"""What both encodings of OTLP, protobuf and JSON, have in common: their limits and errors."""

from typing import Any

from clew.core.errors import ClewError
from clew.store.record import SpanRecord

INT64 = range(-(2**63), 2**63)
"""The integers that an attribute can be."""
MAX_DEPTH = 47
"""How deep arrays and maps may be nested: protobuf's parsers refuse deeper ones."""
MAX_SPANS = 100_000
"""The most spans in one request. Exporters send some hundred, Collectors some thousand."""
TOO_MANY_SPANS = f"more than {MAX_SPANS} spans; export fewer at once"
_TRACE_ID_LENGTH, _SPAN_ID_LENGTH = 16, 8


class MalformedError(ClewError, ValueError):
    """What was received is not what it was said to be."""


class TooLargeError(ClewError, ValueError):
    """There is more than allowed."""


def encodable(text: str) -> str:
    """Return *text* with ``?`` for the halves of surrogate pairs, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def as_text(value: Any) -> str:
    """Return as text what OTLP has no type for, such as an integer of more than 64 bits."""
    return encodable(str(value))


def time_in_range(nanoseconds: int) -> int:
    """Return *nanoseconds*, or 0, which is "unknown" in OTLP, for what it cannot carry."""
    return nanoseconds if 0 <= nanoseconds < 2**64 else 0


def parent_or_none(span_id: bytes) -> bytes | None:
    """Return *span_id*, or None where it names no span: it is empty, or all zeros."""
    return span_id if span_id.strip(b"\0") else None


def defect(record: SpanRecord) -> str | None:
    """Return why *record* cannot be stored, or None if it can."""
    for name, value, length in (
        ("trace id", record.trace_id, _TRACE_ID_LENGTH),
        ("span id", record.span_id, _SPAN_ID_LENGTH),
    ):
        if len(value) != length:
            return f"its {name} has {len(value)} bytes instead of {length}"
        if not any(value):
            return f"its {name} is all zeros"
    if record.parent_id is not None and len(record.parent_id) != _SPAN_ID_LENGTH:
        return f"its parent's id has {len(record.parent_id)} bytes instead of {_SPAN_ID_LENGTH}"
    if record.start not in INT64 or record.end not in INT64:
        return "it starts or ends after the year 2262"
    return None
