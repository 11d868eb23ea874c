"""TurnFeed: the turns of a store, each as soon as it is complete."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from clew.sessions.carriers import is_carrier
from clew.sessions.completeness import QUIET_SECONDS, patience
from clew.sessions.model import Turn
from clew.sessions.words import turns_of
from clew.store.reader import spans_after, spans_of_trace, spans_with_ids
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
        self._began = 0
        """The same when the feed began; what is before it is not new."""
        if only_new:
            query = "SELECT coalesce(max(id), 0) FROM span"
            (self._last,) = connection.execute(query).fetchone()
            self._began = self._last

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
                    self._shown[_key(turn)] = None
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
        while rows := spans_after(self._connection, self._last):
            self._last = rows[-1][0]
            for _, span in rows:
                # What somebody says about a turn is in its trace, and may be what that waits for.
                if not is_carrier(span) or span.trace_id in self._due or span.trace_id in changed:
                    changed[span.trace_id] = None
        return changed

    def _complete(self, trace: bytes, now: float) -> Sequence[Turn]:
        self._leave_out_old_turns(trace)
        spans = spans_of_trace(self._connection, trace)
        known = {span.span_id for span in spans}
        without = [span for span in spans if span.parent_id and span.parent_id not in known]
        if not without:
            self._due.pop(trace, None)
            return list(self._turns(spans))
        self._due[trace] = now + max(patience(span.flags) for span in without)
        return ()

    def _leave_out_old_turns(self, trace: bytes) -> None:
        """Count as shown the turns of a trace that were complete when the feed began."""
        query = "SELECT id FROM span WHERE trace_id = ? AND id <= ?"
        ids = [it for (it,) in self._connection.execute(query, (trace, self._began))]
        found = [
            span
            for start in range(0, len(ids), 1000)
            for _, span in spans_with_ids(self._connection, ids[start : start + 1000])
        ]
        spans = {span.span_id: span for span in sorted(found, key=lambda span: span.start)}
        for turn in turns_of(list(spans.values())):
            root = spans.get(turn.root_id)
            # A span of the same process that is not stored has not ended: the turn goes on.
            if root is None or (
                root.parent_id
                and root.parent_id not in spans
                and patience(root.flags) > QUIET_SECONDS
            ):
                continue
            self._shown[_key(turn)] = None

    def _turns(self, spans: Sequence[SpanRecord]) -> Iterator[Turn]:
        """Yield the turns that have not been shown: later spans of one change it unseen."""
        for turn in turns_of(spans):
            if not turn.spoken and not turn.errors:
                continue
            if _key(turn) not in self._shown:
                self._shown[_key(turn)] = None
                yield turn
        while len(self._shown) > _MOST_KNOWN:
            del self._shown[next(iter(self._shown))]


def _key(turn: Turn) -> tuple[bytes, bytes, str]:
    return turn.trace_id, turn.root_id, turn.session_id
