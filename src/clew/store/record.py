"""SpanRecord: one span with everything that it was recorded with, independent of any SDK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | bool | int | float | bytes | Sequence[Value] | Mapping[str, Value] | None"
"""The value of an attribute, as OTLP defines it."""
Attributes: TypeAlias = Mapping[str, Value]

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
"""The kinds of spans, by their numbers in OTLP."""
UNSET, OK, ERROR = range(3)
"""The status codes of spans, by their numbers in OTLP."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The process or service that a span comes from."""

    attributes: Attributes
    schema_url: str = ""
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation that has made a span."""

    name: str = ""
    version: str = ""
    attributes: Attributes | None = None
    schema_url: str = ""
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span, such as an exception."""

    name: str
    time: int
    attributes: Attributes
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A reference from a span to another one, which is not its parent."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes
    trace_state: str = ""
    flags: int = 0
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One span. Times are nanoseconds since 1970."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    start: int
    end: int
    attributes: Attributes
    kind: int = 1
    """Its number in `KINDS`."""
    status: int = UNSET
    status_message: str = ""
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    resource: Resource = Resource({})
    scope: Scope = Scope()
    trace_state: str = ""
    flags: int = 0
    """The W3C trace flags, and whether the parent is remote (bits 8 and 9 of OTLP)."""
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0
