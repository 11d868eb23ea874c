"""Copies the spans of an engine into an SQLite store, for what needs one: the page, evaluators.

What has been copied is told from the copy itself, so that the two cannot get out of step: only
traces are read of which it has other spans than the engine, and what is gone there is deleted.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from shutil import disk_usage
from sqlite3 import Connection
from typing import NamedTuple

from clew.sessions import copies
from clew.sessions.engines.asking import rows
from clew.sessions.engines.changes import CHECKSUM, DAY, condition_of, counted, within
from clew.sessions.engines.copied_evaluations import exchanging, has_unsent, receive, send
from clew.sessions.engines.engine import Engine, Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.updating import spans_of_traces
from clew.sessions.summaries import refresh
from clew.store.database import connect, transaction
from clew.store.record import SpanRecord
from clew.store.writer import Writer

_TRACES_AT_ONCE = 200
_LEAST_FREE = 10**9
"""Bytes of the disk that a copy leaves to others: an engine may have more than any disk."""
_DAYS = f"SELECT start_ns / {DAY} AS day, count(*) AS spans, {CHECKSUM} AS checksum FROM {{}}"
_TRACES = f"SELECT {{}} AS trace_id, count(*) AS spans, {CHECKSUM} AS checksum FROM {{}}"


class Copied(NamedTuple):
    """What has changed in a copy."""

    new: int
    """Spans that were added."""
    deleted: int


def bring_copy_up_to_date(
    source: Engine, path: Path, window: Window, tell: Callable[[int], None] | None = None
) -> Copied:
    """Make the spans of *window* in the store at *path* the same as those on *source*.

    *tell* is told how many traces were copied, each time that some were.
    """
    with closing(connect(path, create=True)) as connection:
        copying = _Copying(source, connection, tell)

        def counts(query: str, given: Iterable[int]) -> dict[object, tuple[int, ...]]:
            return {key: tuple(rest) for key, *rest in connection.execute(query, tuple(given))}

        condition, given = condition_of(window)
        by_day = f"{condition} GROUP BY start_ns / {DAY}"
        there = _counts(source, f"{_DAYS.format('spans')} {by_day}", given)
        here = counts(f"{_DAYS.format('span')} {by_day}", given)
        for day in sorted(_different(there, here), key=str, reverse=True):
            condition, given = condition_of(within(window, int(str(day))))
            by_trace = f"{condition} GROUP BY trace_id"
            changed = _different(
                _counts(source, f"{_TRACES.format('trace_id', 'spans')} {by_trace}", given),
                counts(f"{_TRACES.format('lower(hex(trace_id))', 'span')} {by_trace}", given),
            )
            copying.copy(sorted(map(str, changed)))
    _exchange_evaluations(source, path)
    return Copied(copying.new, copying.deleted)


def copy_sessions(
    source: Engine,
    path: Path,
    sessions: Sequence[str],
    window: Window,
    tell: Callable[[int], None] | None = None,
) -> int:
    """Make all spans of these *sessions* in the store at *path* the same as those on *source*.

    They are those with spans in the *window*. Return how many traces they have on *source*.
    """
    if not sessions:
        return 0
    condition, given = condition_of(window)
    condition = f"{condition} AND" if condition else "WHERE"
    query = (
        f"SELECT trace_id FROM spans {condition} session_id IN ({', '.join('?' * len(sessions))}) "
        "GROUP BY trace_id ORDER BY trace_id"
    )
    traces = [trace for (trace,) in rows(source, query, (*given, *sessions))]
    with closing(connect(path, create=True)) as connection:
        # Summarised at once, and not after all else that is new in the store.
        _Copying(source, connection, tell, summarises=True).copy(traces)
    _exchange_evaluations(source, path)
    return len(traces)


def copy_trace(
    source: Engine,
    path: Path,
    trace_id: str,
    window: Window,
    tell: Callable[[int], None] | None = None,
) -> Sequence[str]:
    """Do the same for the sessions that a trace is in, or for it alone if it is in none.

    Return these sessions.
    """
    query = "SELECT DISTINCT session_id FROM spans WHERE trace_id = ?"
    found = rows(source, query, (trace_id,))
    sessions = sorted(session for (session,) in found if session)
    if not copy_sessions(source, path, sessions, window, tell) and found:
        with closing(connect(path, create=True)) as connection:
            _Copying(source, connection, tell, summarises=True).copy([trace_id])
    return sessions


class _Copying:
    """A copy that is being made."""

    def __init__(
        self,
        source: Engine,
        connection: Connection,
        tell: Callable[[int], None] | None,
        *,
        summarises: bool = False,
    ) -> None:
        self.new = self.deleted = 0
        self._summarises = summarises
        self._source = source
        self._writer = Writer(connection)
        (_, _, path), *_ = connection.execute("PRAGMA database_list")
        self._folder = Path(path).parent
        copies.mark(connection)
        self._tell = tell
        self._done = 0

    def copy(self, traces: Sequence[str]) -> None:
        """Make the spans of these traces the same as those on the engine."""
        connection = self._writer.connection
        for start in range(0, len(traces), _TRACES_AT_ONCE):
            some = traces[start : start + _TRACES_AT_ONCE]
            _check_disk(self._folder)
            # Whoever copies the same traces at the same time may have a newer answer.
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM span").fetchone()
            spans = list(spans_of_traces(self._source, some))
            self.new += self._writer.add(spans)
            with transaction(connection):
                changed = self._delete_others(some, spans, last)
                refresh(connection, map(bytes.fromhex, some) if self._summarises else changed)
            self._done += len(some)
            if self._tell is not None:
                self._tell(self._done)

    def _delete_others(
        self, traces: Iterable[str], spans: Iterable[SpanRecord], last: int
    ) -> Sequence[bytes]:
        """Delete what is not among *spans*, up to the *last* one; return the traces it was of."""
        kept: dict[bytes, set[bytes]] = {bytes.fromhex(it): set() for it in traces}
        for span in spans:
            kept[span.trace_id].add(span.span_id)
        changed = []
        for trace, wanted in kept.items():
            found = self._writer.connection.execute(
                "SELECT id, span_id FROM span WHERE trace_id = ? AND id <= ?", (trace, last)
            )
            gone = [(number,) for number, span in found.fetchall() if span not in wanted]
            if gone:
                self._writer.connection.executemany("DELETE FROM span WHERE id = ?", gone)
                self.deleted += len(gone)
                changed.append(trace)
        return changed


def _check_disk(folder: Path) -> None:
    """Raise an error where a copy would fill the disk up."""
    free = disk_usage(folder).free
    if free < _LEAST_FREE:
        message = (
            f"the copy in {folder} does not go on, as only {free // 10**6:,} MB of that disk are "
            "free; choose a time, such as ?since=7d, or a store on another disk with CLEW_STORE"
        )
        raise EngineError(message)


def _exchange_evaluations(source: Engine, path: Path) -> None:
    """Tell the engine what was said in the copy, and the other way round."""
    if source.has_tables():
        with exchanging(path), closing(connect(path)) as connection:
            send(connection, source)
            receive(connection, source)


def is_ahead(path: Path) -> bool:
    """Whether something was said in the copy at *path* that the engine was not told yet."""
    with closing(connect(path, read_only=True)) as connection:
        return has_unsent(connection)


def send_evaluations(source: Engine, path: Path) -> int:
    """Tell *source* what was said in the copy at *path*, if clew's tables are there."""
    if not source.has_tables():
        return 0
    with exchanging(path), closing(connect(path)) as connection:
        return send(connection, source)


def _counts(source: Engine, query: str, given: Iterable[int]) -> dict[object, tuple[int, ...]]:
    return dict(counted(source, query, tuple(given)))


def _different(
    there: dict[object, tuple[int, ...]], here: dict[object, tuple[int, ...]]
) -> list[object]:
    return [key for key in there.keys() | here.keys() if there.get(key) != here.get(key)]
