"""Brings clew's tables up to date with the spans of an engine: only what has changed is read."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import randbits
from threading import TIMEOUT_MAX, RLock
from time import monotonic
from typing import Any, NamedTuple

from clew.sessions.engines import records
from clew.sessions.engines.asking import rows
from clew.sessions.engines.changes import (
    DAY,
    TraceState,
    changed_days,
    changed_traces,
    condition_of,
    outdone,
)
from clew.sessions.engines.engine import Engine, OnWorkers, Window
from clew.sessions.engines.parts import session_part, trace_part
from clew.sessions.engines.schema import TABLES
from clew.sessions.engines.summary import RULES, Rows
from clew.sessions.engines.workers import Parts, Workers
from clew.store.record import SpanRecord

_SPANS_PER_BATCH = 5_000
_IDS_PER_QUERY = 500
_EVER = Window()
_GUESSED_SPANS = 10
"""How many spans a trace is taken to have of which it is not known."""
_LOCKS: dict[str, RLock] = {}
"""Of each place with tables, what a thread holds that changes them."""


class Progress(NamedTuple):
    """How far an update has come."""

    day: int
    """Days since 1970, in UTC."""
    days_left: int
    """With this one."""
    done: int
    """Sessions of the day that are done."""
    all: int


class How(NamedTuple):
    """How tables are brought up to date."""

    window: Window = Window()
    """Only spans that began then are looked at."""
    processes: int = 1
    """How many summarise what is new."""
    tell: Callable[[Progress], None] | None = None
    """Told how far it has come, each time that a part of it is written."""


def bring_up_to_date(
    source: Engine, target: Engine, how: How, seconds: float = float("inf")
) -> bool:
    """Summarise on *target* what has changed on *source*; return whether all is done.

    Whatever ends it, what is done is kept, and the next time goes on from there.
    """
    until = monotonic() + seconds
    with changing(target, seconds) as is_changing:
        return is_changing and _bring_up_to_date(source, target, how, until)


@contextmanager
def changing(target: Engine, seconds: float = float("inf")) -> Iterator[bool]:
    """Keep the other threads of this process from changing clew's tables on *target* meanwhile.

    They may use other connections, in which one could not see what another has written. If one of
    them is at it for so many *seconds*, the block is told False.
    """
    lock = _LOCKS.setdefault(target.tables_place, RLock())
    is_mine = lock.acquire(timeout=min(seconds, TIMEOUT_MAX))
    try:
        yield is_mine
    finally:
        if is_mine:
            lock.release()


def _bring_up_to_date(source: Engine, target: Engine, how: How, until: float) -> bool:
    again = outdone(target)
    days = changed_days(source, target, how.window, again)
    with Workers(how.processes) as workers:
        for number, day in enumerate(reversed(days)):  # What is new is asked for first.
            began = target.now_ns()
            changed = changed_traces(source, target, how.window, day, again.get(day, ()))
            update = _DayUpdate(source, target, list(changed), began)
            for done in update.run(workers):
                if how.tell is not None:
                    how.tell(Progress(day, len(days) - number, done, len(update.parts)))
                if monotonic() > until:
                    return False
    return True


class _DayUpdate:
    """The summaries of what has changed on one day."""

    def __init__(
        self, source: Engine, target: Engine, changed: Sequence[TraceState], began: int
    ) -> None:
        self._source = source
        self._target = target
        # By the engine's clock, before anything was read: another process that began later has
        # seen at least as much, even if it is the first to write.
        self._made = began
        # Of a part the batch with the highest number counts, and no two processes have the same.
        self._batch = began // 1000 << 10 | randbits(10)
        self._states = {it.trace_id: it for it in changed}
        self.parts = self._affected()
        """The traces of each part that has to be summarised."""
        self._left = Counter(
            trace for traces in self.parts.values() for trace in traces if trace in self._states
        )

    def run(self, workers: Workers) -> Iterator[int]:
        """Summarise part by part; yield how many are done, after each batch that was written."""
        done = 0
        for parts, found in self._summaries(workers):
            self._write(parts, found)
            done += len(parts)
            yield done
        # Those that are in no part: nothing was said, called or went wrong in them.
        self._remember([it for it in self._states if self._left[it] == 0 and it not in self._done])

    def _summaries(self, workers: Workers) -> Iterator[tuple[Parts, Mapping[str, Rows]]]:
        if self.parts and isinstance(self._source, OnWorkers):
            found = self._source.summaries(self.parts)
            if found is not None:
                return found
        return workers.summaries(self._batches(), self._records)

    @property
    def _done(self) -> set[str]:
        return {trace for traces in self.parts.values() for trace in traces}

    def _affected(self) -> dict[str, set[str]]:
        """Return the sessions and traces that have to be summarised, with all their traces."""
        pairs: dict[str, set[str]] = {}
        of_all_batches = "FROM clew_part_trace"  # Of those, too, that do not count.
        for some in _some(self._states):
            marks = ", ".join("?" * len(some))
            query = (
                "SELECT DISTINCT coalesce(session_id, '') AS session_id, trace_id "
                f"FROM spans WHERE trace_id IN ({marks})"
            )
            for session, trace in rows(self._source, query, some):
                part = session_part(session) if session else trace_part(trace)
                pairs.setdefault(part, set()).add(trace)
            query = f"SELECT DISTINCT part, trace_id {of_all_batches} WHERE trace_id IN ({marks})"
            for part, trace in rows(self._target, query, some):
                pairs.setdefault(part, set()).add(trace)
        for some in _some(pairs):
            marks = ", ".join("?" * len(some))
            query = f"SELECT DISTINCT part, trace_id {of_all_batches} WHERE part IN ({marks})"
            for part, trace in rows(self._target, query, some):
                pairs[part].add(trace)
        return pairs

    def _batches(self) -> Iterator[dict[str, set[str]]]:
        batch: dict[str, set[str]] = {}
        spans = 0
        for part, traces in self.parts.items():
            batch[part] = traces
            spans += sum(
                self._states[it].spans if it in self._states else _GUESSED_SPANS for it in traces
            )
            if spans >= _SPANS_PER_BATCH:
                yield batch
                batch, spans = {}, 0
        if batch:
            yield batch

    def _records(self, traces: Collection[str]) -> list[SpanRecord]:
        return list(spans_of_traces(self._source, traces))

    def _write(self, parts: Mapping[str, set[str]], found: Mapping[str, Rows]) -> None:
        made, batch = self._made, self._batch
        by_table: dict[str, list[dict[str, Any]]] = {}
        for part, tables in found.items():
            for table, some in tables.items():
                by_table.setdefault(table, []).extend(
                    {"part": part, "batch": batch, **row} for row in some
                )
        with self._target.transaction():
            if self._target.replaces:  # Elsewhere, what was there before is there, and not read.
                for table, columns in TABLES.items():
                    if any(it.name == "part" for it in columns):
                        self._target.delete(table, "part", list(parts))
            for table, some in by_table.items():
                self._target.insert(table, some)
            self._target.insert(
                "clew_part_trace",
                [
                    {"part": part, "batch": batch, "trace_id": trace}
                    for part, traces in parts.items()
                    for trace in traces
                ],
            )
            # These make the batch valid, and so they come last.
            self._target.insert(
                "clew_part",
                [{"part": it, "batch": batch, "rules": RULES, "made_ns": made} for it in parts],
            )
            for traces in parts.values():
                self._left.subtract(traces)
            complete = {it for traces in parts.values() for it in traces if self._left[it] == 0}
            self._remember([it for it in complete if it in self._states])

    def _remember(self, traces: Iterable[str]) -> None:
        states = [self._states[it] for it in traces]
        if states:
            self._target.insert(
                "clew_trace",
                [
                    {
                        "day": it.day,
                        "trace_id": it.trace_id,
                        "spans": it.spans,
                        "checksum": it.checksum,
                        "rules": RULES,
                        "made_ns": self._made,
                    }
                    for it in states
                ],
            )


def spans_of_traces(
    source: Engine, traces: Collection[str], window: Window = _EVER
) -> Iterator[SpanRecord]:
    """Yield the spans of these *traces* that began in the *window*."""
    names = ", ".join(records.NAMES)
    condition, bounds = condition_of(window)
    condition = f"{condition} AND" if condition else "WHERE"
    for some in _some(traces):
        marks = ", ".join("?" * len(some))
        query = f"SELECT {names} FROM spans {condition} trace_id IN ({marks})"
        found = rows(source, query, (*bounds, *some))
        yield from records.records_of(found, has_types=source.has_types)


def days_of_traces(tables: Engine, traces: Sequence[str]) -> Window:
    """Return the days on which the spans of these *traces* began, as far as they were read."""
    marks = ", ".join("?" * len(traces))
    query = (
        f"SELECT min(day) AS first, max(day) AS last FROM clew_trace WHERE trace_id IN ({marks})"
    )
    ((first, last),) = rows(tables, query, traces)
    return Window() if first is None else Window(first * DAY, (last + 1) * DAY)


def _some(values: Iterable[str]) -> Iterator[list[str]]:
    every = list(values)
    for start in range(0, len(every), _IDS_PER_QUERY):
        yield every[start : start + _IDS_PER_QUERY]
