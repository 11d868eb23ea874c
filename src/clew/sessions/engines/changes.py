"""Finds out which traces have changed since they were read, without reading their spans.

A span that is stored twice is counted twice, as comparing rows takes most of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine, Window
from clew.sessions.engines.summary import RULES

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


@dataclass(frozen=True, slots=True)
class TraceState:
    """What is known of the spans of a trace that began on one day."""

    day: int
    trace_id: str
    spans: int
    checksum: int


def changed_days(source: Engine, target: Engine, window: Window) -> list[int]:
    """Return the days (in UTC, since 1970) of *window* on which spans have come or gone."""
    condition, given = condition_of(window)
    query = f"{_DAYS} {condition} GROUP BY start_ns / {DAY}"
    found = {day: tuple(map(int, rest)) for day, *rest in rows(source, query, given)}
    known = {day: tuple(map(int, rest)) for day, *rest in rows(target, _KNOWN_DAYS, (RULES,))}
    days = {day for day in known.keys() | found.keys() if known.get(day, (0, 0)) != found.get(day)}
    return sorted(day for day in days if _overlaps(day, window) and (day in found or known[day][0]))


def changed_traces(
    source: Engine, target: Engine, window: Window, day: int
) -> Iterator[TraceState]:
    """Yield the traces whose spans that began on a *day* are others than were read."""
    condition, given = condition_of(within(window, day))
    query = f"{_TRACES} {condition} GROUP BY trace_id"
    known = {
        trace: (int(spans), int(checksum))
        for trace, spans, checksum in rows(target, _KNOWN_TRACES, (RULES, day))
    }
    for trace, spans, checksum in rows(source, query, given):
        if known.pop(trace, None) != (int(spans), int(checksum)):
            yield TraceState(day, trace, int(spans), int(checksum))
    for trace, (spans, _) in known.items():
        if spans:
            yield TraceState(day, trace, 0, 0)


def _overlaps(day: int, window: Window) -> bool:
    part = within(window, day)
    return part.since_ns is None or part.until_ns is None or part.since_ns < part.until_ns


def within(window: Window, day: int) -> Window:
    """Return the part of *window* on a day. What is before 1970 counts to the first one."""
    starts = [it for it in (window.since_ns, day * DAY if day > 0 else None) if it is not None]
    ends = [it for it in (window.until_ns, (day + 1) * DAY) if it is not None]
    return Window(max(starts, default=None), min(ends))


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
