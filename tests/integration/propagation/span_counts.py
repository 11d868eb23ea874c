"""Makes spans that name the ids they should have, and counts those that lack or differ from them.

A span that a job makes has an attribute ``expected``: session, user, and the parent's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.trace import Tracer

from clew import using_session

EXPECTED = "expected"
NOBODY = ("", "")
CALLERS = (("chat-1", "ada"), ("chat-2", "bob"), NOBODY, ("chat-1", "eve"))


@dataclass(frozen=True)
class SpanRecord:
    """The parts of a finished span that are compared."""

    name: str
    span_id: str
    parent_id: str
    trace_id: str
    attributes: dict[str, Any]


def make_spans(tracer: Tracer, who: tuple[str, str] = NOBODY, parent: str = "") -> None:
    """Make two spans, one inside the other, that should have the ids *who*."""
    with tracer.start_as_current_span("job", attributes={EXPECTED: (*who, parent)}):
        tracer.start_span("step", attributes={EXPECTED: (*who, "job")}).end()


def submit_as(tracer, who, submit_job):
    """Submit a job from inside a block of *who* and a span; for NOBODY, from outside of any."""
    if who == NOBODY:
        return submit_job(partial(make_spans, tracer))
    with using_session(who[0], user_id=who[1]), tracer.start_as_current_span("caller"):
        return submit_job(partial(make_spans, tracer, who, "caller"))


@dataclass(frozen=True)
class Count:
    """How many spans said what they should have, and how many differ from it."""

    spans: int = 0
    missing: int = 0
    wrong: int = 0
    leaked: int = 0
    wrong_parent: int = 0
    """Spans under another parent, or in another trace."""
    duplicates: int = 0


def count_spans(seen: Iterable[SpanRecord]) -> Count:
    """Compare the ids and parents of spans with those that they say they should have."""
    seen = list(seen)
    by_id = {span.span_id: span for span in seen}
    checked = [span for span in by_id.values() if EXPECTED in span.attributes]
    missing = wrong = leaked = wrong_parent = 0
    for span in checked:
        *who, parent_name = span.attributes[EXPECTED]
        for key, wanted in zip(("session.id", "user.id"), who, strict=True):
            found = span.attributes.get(key)
            missing += bool(wanted and not found)
            leaked += bool(found and not wanted)
            wrong += bool(found and wanted and found != wanted)
        parent = by_id.get(span.parent_id)
        wrong_parent += (parent.name if parent else "") != parent_name
        wrong_parent += bool(parent and parent.trace_id != span.trace_id)
    return Count(len(checked), missing, wrong, leaked, wrong_parent, len(seen) - len(by_id))
