"""Finds the traces that are summarised next, each once, however many spans it has.

A trace is always read whole, though its spans may be spread over all the others. Where some of them
are still to come when it was read, it is noted how far it was, and whoever comes to those goes past
them. Reading a large trace takes long, so this is done before the transaction for which other
writers have to wait.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from clew.core.containment import contain
from clew.sessions.model import Turn
from clew.sessions.words import turns_of
from clew.store.reader import new_span_traces, numbered_spans_of_trace
from clew.store.record import SpanRecord

_SPANS_OF_LARGE = 256
"""A trace of more spans than these is read before the transaction. Processes that do so at the same
time do it in vain, but for one, so this is not done with all."""
_NOTES = "name > 'trace:' AND name < 'trace;'"
"""The rows of `progress` that say how far a trace was read, of which there are spans to come."""


@dataclass(frozen=True, slots=True)
class ReadTrace:
    """A trace, as it was when it was read."""

    spans: list[SpanRecord]
    turns: list[Turn]
    last: int
    """The greatest id of its spans."""

    def is_true(self, connection: sqlite3.Connection, trace: bytes) -> bool:
        """Whether none of the spans was deleted since."""
        query = "SELECT count(*) FROM span WHERE trace_id = ? AND id <= ?"
        (left,) = connection.execute(query, (trace, self.last)).fetchone()
        return bool(left == len(self.spans))


@dataclass(slots=True)
class Step:
    """What is done in one transaction."""

    last: int
    """Up to which span all is summarised then."""
    ends: dict[bytes, int] = field(default_factory=dict)
    """The traces that are summarised in it, and up to which span each is."""
    read: Mapping[bytes, ReadTrace] = field(default_factory=dict)
    """What was read before, and is still true."""
    large: bytes | None = None
    """The trace that has to be read before the next step."""


def read_trace(connection: sqlite3.Connection, trace: bytes) -> ReadTrace:
    """Read a trace, and find its turns."""
    found = numbered_spans_of_trace(connection, trace)
    spans = [span for _, span in found]
    return ReadTrace(spans, _turns_of(spans), max((number for number, _ in found), default=0))


def _turns_of(spans: list[SpanRecord]) -> list[Turn]:
    try:
        return turns_of(spans)
    except Exception:  # One strange trace must not keep all others from being summarised.
        contain("finding the turns of a trace")
        return []


def next_step(
    connection: sqlite3.Connection, done: int, limit: int, read: Mapping[bytes, ReadTrace]
) -> Step:
    """Return what comes after the span *done*: about *limit* spans, and what was *read* before."""
    step = Step(done, read={it: read[it] for it in read if read[it].is_true(connection, it)})
    ends: dict[bytes, int] = {}
    to_read = 0
    for number, trace in new_span_traces(connection, done, limit):
        if trace not in ends:
            ends[trace] = _noted(connection, trace)
        if number > ends[trace]:
            spans, end = _extent(connection, trace)
            if trace in step.read:
                spans, end = 0, step.read[trace].last
            if spans > _SPANS_OF_LARGE or number > end:
                step.large = trace
                break
            if to_read > limit:
                break
            to_read += spans
            ends[trace] = step.ends[trace] = end
        step.last = number
    return step


def _extent(connection: sqlite3.Connection, trace: bytes) -> tuple[int, int]:
    """Return how many spans a trace has, and the greatest id of them."""
    query = "SELECT count(*), max(id) FROM span WHERE trace_id = ?"
    spans, last = connection.execute(query, (trace,)).fetchone()
    return spans, last


def _noted(connection: sqlite3.Connection, trace: bytes) -> int:
    query = "SELECT value FROM progress WHERE name = ?"
    found = connection.execute(query, (_name(trace),)).fetchone()
    return found[0] if found else 0


def _name(trace: bytes) -> str:
    return f"trace:{trace.hex()}"


def note(connection: sqlite3.Connection, step: Step) -> None:
    """Note how far the traces of a step were read of which there are spans after it."""
    connection.execute(f"DELETE FROM progress WHERE {_NOTES} AND value <= ?", (step.last,))
    connection.executemany(
        "INSERT OR REPLACE INTO progress VALUES (?, ?)",
        [(_name(trace), end) for trace, end in step.ends.items() if end > step.last],
    )


def forget_notes(connection: sqlite3.Connection) -> None:
    """Forget which traces were read: their turns are made anew."""
    connection.execute(f"DELETE FROM progress WHERE {_NOTES}")
