"""Finds out which traces have changed since they were read, without reading their spans.

A span that is stored twice is counted twice, as comparing rows takes most of the time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine, Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.summary import RULES
from clew.store.otlp.limits import INT64

DAY = 86_400 * 10**9
CHECKSUM = "sum(start_ns % 1000003 + end_ns % 1000033)"
_DAYS = (
    f"SELECT start_ns / {DAY} AS day, count(*) AS spans, {CHECKSUM} AS checksum FROM stored_spans"
)
_KNOWN_DAYS = (
    "SELECT day, sum(spans) AS spans, sum(checksum) AS checksum FROM current_trace "
    "WHERE rules = ? GROUP BY day"
)
_TRACES = f"SELECT trace_id, count(*) AS spans, {CHECKSUM} AS checksum FROM stored_spans"
_KNOWN_TRACES = "SELECT trace_id, spans, checksum FROM current_trace WHERE rules = ? AND day = ?"
# Of two processes that summarise a session at the same time, the batch of one counts. It may lack a
# trace that only the other one has seen, and has noted as read.
_OUTDONE = """
SELECT DISTINCT day, trace_id FROM clew_trace WHERE trace_id IN (
    SELECT written.trace_id
    FROM (
        SELECT part, trace_id, max(batch) AS batch FROM clew_part_trace
        WHERE part IN (SELECT part FROM clew_part GROUP BY part HAVING count(*) > 1)
        GROUP BY part, trace_id
    ) AS written
    JOIN current_batch ON current_batch.part = written.part
    WHERE written.batch < current_batch.batch
)
"""
Outdone = Mapping[int, Collection[str]]
"""Traces that are not in the batch that counts, by their days."""


@dataclass(frozen=True, slots=True)
class TraceState:
    """What is known of the spans of a trace that began on one day."""

    day: int
    trace_id: str
    spans: int
    checksum: int


def outdone(target: Engine) -> Outdone:
    """Return the traces that are to be summarised again, though nothing has changed in them."""
    found: dict[int, set[str]] = {}
    if not target.replaces:  # Elsewhere, one process at a time writes.
        for day, trace in rows(target, _OUTDONE):
            found.setdefault(day, set()).add(trace)
    return found


def changed_days(
    source: Engine, target: Engine, window: Window, again: Collection[int] = ()
) -> list[int]:
    """Return the days (in UTC, since 1970) of *window* on which spans have come or gone.

    Those to look at *again* are among them.
    """
    condition, given = condition_of(window)
    query = f"{_DAYS} {condition} GROUP BY start_ns / {DAY}"
    found = dict(counted(source, query, given))
    known = {day: tuple(map(int, rest)) for day, *rest in rows(target, _KNOWN_DAYS, (RULES,))}
    days = {day for day in known.keys() | found.keys() if known.get(day, (0, 0)) != found.get(day)}
    there = found.keys() | {day for day, (spans, _) in known.items() if spans}
    return sorted(day for day in (days | {*again}) & there if _overlaps(day, window))


def changed_traces(
    source: Engine, target: Engine, window: Window, day: int, again: Collection[str] = ()
) -> Iterator[TraceState]:
    """Yield the traces whose spans that began on a *day* are others than were read.

    Those to look at *again* are among them.
    """
    condition, given = condition_of(within(window, day))
    query = f"{_TRACES} {condition} GROUP BY trace_id"
    known = {
        trace: (int(spans), int(checksum))
        for trace, spans, checksum in rows(target, _KNOWN_TRACES, (RULES, day))
    }
    for trace, (spans, checksum) in counted(source, query, given):
        if known.pop(trace, None) != (spans, checksum) or trace in again:
            yield TraceState(day, trace, spans, checksum)
    for trace, (spans, _) in known.items():
        if spans or trace in again:
            yield TraceState(day, trace, 0, 0)


def counted(
    source: Engine, query: str, given: Sequence[int]
) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield the day or trace of each row of a *query* on *source*, with the numbers beside it."""
    for key, *numbers in rows(source, query, given):
        if None in {key, *numbers}:
            message = f"{source.label} has rows without trace_id, start or end, which are no spans"
            raise EngineError(message)
        yield key, tuple(map(int, numbers))


def _overlaps(day: int, window: Window) -> bool:
    part = within(window, day)
    return part.since_ns is None or part.until_ns is None or part.since_ns < part.until_ns


def within(window: Window, day: int) -> Window:
    """Return the part of *window* on a day. What is before 1970 counts to the first one."""
    end = (day + 1) * DAY
    starts = [it for it in (window.since_ns, day * DAY if day > 0 else None) if it is not None]
    # The last day that times reach ends after the latest time, which is no limit for an engine.
    ends = [it for it in (window.until_ns, end if end in INT64 else None) if it is not None]
    return Window(max(starts, default=None), min(ends, default=None))


def condition_of(window: Window) -> tuple[str, list[int]]:
    """Return what spans of *window* have to meet, in SQL, and its values."""
    conditions = [
        (text, value)
        for text, value in (
            ("start_ns >= ?", window.since_ns),
            ("start_ns < ?", window.until_ns),
        )
        if value is not None
    ]
    text = " AND ".join(text for text, _ in conditions)
    return f"WHERE {text}" if text else "", [value for _, value in conditions]
