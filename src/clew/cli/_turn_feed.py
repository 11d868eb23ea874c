"""TurnFeed: the turns of a store, each as soon as it is complete."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from clew.sessions.completeness import patience
from clew.sessions.model import Turn
from clew.sessions.words import turns_of
from clew.store.reader import spans_of_trace, traces_after
from clew.store.record import SpanRecord

_MOST_KNOWN = 10_000


class TurnFeed:
    """Finds new turns through one connection. Nothing is read while nothing is written."""

    def __init__(self, connection: sqlite3.Connection, *, only_new: bool) -> None:
        self._connection = connection
        self._version = 0
        self._last = 0
        """The id of the span up to which everything has been read."""
        self._due: dict[bytes, float] = {}
        """Traces that are not complete, and until when there is hope that they become so."""
        self._shown: dict[tuple[bytes, bytes, str], None] = {}
        if only_new:
            query = "SELECT coalesce(max(id), 0) FROM span"
            (self._last,) = connection.execute(query).fetchone()

    def last(self, number: int, wanted: Callable[[Turn], bool]) -> Iterator[Turn]:
        """Yield the last turns that are *wanted*, the latest first."""
        if number == 0:
            return
        traces = self._connection.execute(
            "SELECT trace_id FROM span ORDER BY id DESC LIMIT ?", (_MOST_KNOWN,)
        ).fetchall()
        for trace in dict.fromkeys(trace for (trace,) in traces):
            for turn in reversed(turns_of(spans_of_trace(self._connection, trace))):
                if wanted(turn) and turn.spoken:
                    yield turn
                    number -= 1
                    if number == 0:
                        return

    def new(self) -> Iterator[Turn]:
        """Yield the turns that have become complete since the last time."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        changed = self._changed_traces() if version != self._version else {}
        self._version = version
        now = monotonic()
        overdue = [trace for trace, due in self._due.items() if due <= now]
        found = [turn for trace in changed for turn in self._complete(trace, now)]
        for trace in overdue:
            if self._due.get(trace, now + 1) <= now:
                del self._due[trace]
                found += self._turns(spans_of_trace(self._connection, trace))
        yield from sorted(found, key=lambda turn: turn.end)

    def _changed_traces(self) -> dict[bytes, None]:
        changed = dict[bytes, None]()
        while True:
            traces, self._last = traces_after(self._connection, self._last, 1000)
            if not traces:
                return changed
            changed.update(dict.fromkeys(traces))

    def _complete(self, trace: bytes, now: float) -> Sequence[Turn]:
        spans = spans_of_trace(self._connection, trace)
        known = {span.span_id for span in spans}
        without = [span for span in spans if span.parent_id and span.parent_id not in known]
        if not without:
            self._due.pop(trace, None)
            return list(self._turns(spans))
        self._due[trace] = now + max(patience(span.flags) for span in without)
        return ()

    def _turns(self, spans: Sequence[SpanRecord]) -> Iterator[Turn]:
        """Yield the turns that have not been shown: later spans of one change it unseen."""
        for turn in turns_of(spans):
            if not turn.spoken and not turn.errors:
                continue
            key = (turn.trace_id, turn.root_id, turn.session_id)
            if key not in self._shown:
                self._shown[key] = None
                yield turn
        while len(self._shown) > _MOST_KNOWN:
            del self._shown[next(iter(self._shown))]
