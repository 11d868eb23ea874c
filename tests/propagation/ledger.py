"""Spans that say themselves what they are to carry, and the count of those that do not.

A span that a job makes is given an attribute ``expected``: session, user, and the parent's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.trace import Tracer

from clew import using_session

EXPECTED = "expected"
NOBODY = ("", "")
STAGES = (("chat-1", "ada"), ("chat-2", "bob"), NOBODY, ("chat-1", "eve"))


@dataclass(frozen=True)
class Seen:
    """What of a finished span counts here."""

    name: str
    span_id: str
    parent_id: str
    trace_id: str
    attributes: dict[str, Any]


def make_spans(tracer: Tracer, who: tuple[str, str] = NOBODY, parent: str = "") -> None:
    """Make two spans, one inside the other, that are to carry *who*."""
    with tracer.start_as_current_span("job", attributes={EXPECTED: (*who, parent)}):
        tracer.start_span("step", attributes={EXPECTED: (*who, "job")}).end()


def given(tracer, who, give):
    """Give a job from inside a block and a span, or from outside of all."""
    if who == NOBODY:
        return give(partial(make_spans, tracer))
    with using_session(who[0], user_id=who[1]), tracer.start_as_current_span("caller"):
        return give(partial(make_spans, tracer, who, "caller"))


@dataclass(frozen=True)
class Count:
    """Spans that were expected to carry something, and what is wrong with them."""

    spans: int = 0
    missing: int = 0
    wrong: int = 0
    leaked: int = 0
    astray: int = 0
    """Spans under another parent, or in another trace."""
    twice: int = 0


def counted(seen: Iterable[Seen]) -> Count:
    """Compare spans with what they say about themselves."""
    seen = list(seen)
    by_id = {span.span_id: span for span in seen}
    judged = [span for span in by_id.values() if EXPECTED in span.attributes]
    missing = wrong = leaked = astray = 0
    for span in judged:
        *who, parent_name = span.attributes[EXPECTED]
        for key, wanted in zip(("session.id", "user.id"), who, strict=True):
            found = span.attributes.get(key)
            missing += bool(wanted and not found)
            leaked += bool(found and not wanted)
            wrong += bool(found and wanted and found != wanted)
        parent = by_id.get(span.parent_id)
        astray += (parent.name if parent else "") != parent_name
        astray += bool(parent and parent.trace_id != span.trace_id)
    return Count(len(judged), missing, wrong, leaked, astray, len(seen) - len(by_id))
