"""Reader: the store as pages read it. `Readers` keeps some open, and lends one to each request."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any

from starlette.requests import HTTPConnection

from clew.sessions.model import Turn
from clew.sessions.scoring import SIGNALS, stored_scores
from clew.sessions.store import SessionStore
from clew.sessions.views import add_views
from clew.sessions.words import turns_of
from clew.store.database import StoreError, connect
from clew.store.location import file_identity
from clew.store.moved import index_of
from clew.store.reader import spans_of_trace, spans_with_ids
from clew.store.record import SpanRecord
from clew.viewer.answers import Answer, Answers
from clew.viewer.catching_up import CatchingUp

_KEPT_OPEN = 4
_SECONDS_TO_CATCH_UP = 0.03
_FEW_SPANS = 300
"""Sessions with so few spans together are scored at once, which takes a moment."""
_SECONDS_TO_SCORE = 0.5
"""Not more, however busy the machine or the store is."""
_KEPT_TRACES = 64
_BATCH_SPANS, _BATCH_BYTES = 100, 2**20
_MOST_SPANS = 2000
"""Spans up to which the turns of a trace are kept: pages ask for the same ones again and again."""

_NOT_SCORED = """
SELECT total(spans) AS spans FROM session
WHERE scored = 0 OR (SELECT value FROM progress WHERE name = 'signals') <> ?
"""
_OUTLINE = """
SELECT id, openinference_kind, session_id, span_id, parent_id, name, start_ns, end_ns, status
FROM span WHERE trace_id = ? ORDER BY start_ns, id
"""
_PATIENCE = 2.0
"""How many seconds those that still read a file that was replaced are waited for."""
File = tuple[int, int] | None
Identity = tuple[File, File]
"""Of the file, and of the one beside it through which processes share its log.

Both stay as long as the file is open, unless somebody puts another one in its place.
"""


class TraceNotFoundError(LookupError):
    """A trace is not in the store."""

    def __init__(self, trace_id: bytes) -> None:
        super().__init__(f"there is no trace {trace_id.hex()}")
        self.trace_id = trace_id


class Reader:
    """Sessions, turns and spans, read by one request at a time."""

    def __init__(self, path: Path, turns: "_TurnCache") -> None:
        file = file_identity(path)
        self.is_closed = False
        self.sessions = SessionStore(path, catches_up=False)
        try:
            self._connection = connect(path, read_only=True)
        except StoreError:
            self.sessions.close()
            raise
        add_views(self._connection)
        self.identity: Identity = (file, file_identity(index_of(path)))
        self._turns = turns

    def close(self) -> None:
        """Close the file."""
        self.is_closed = True
        self.sessions.close()
        self._connection.close()

    def rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[dict[str, Any]]:
        """Return what *query* selects."""
        cursor = self.tuples(query, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def tuples(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> sqlite3.Cursor:
        """Return what *query* selects, without names: for rows of which there may be very many."""
        return self._connection.execute(query, parameters)

    def spans(self, trace: bytes) -> list[SpanRecord]:
        """Return the spans of a trace in the order of their start."""
        return spans_of_trace(self._connection, trace)

    def batches(self, trace: bytes) -> list[list[int]]:
        """Return the ids of the spans of a trace, in the order of their start, in batches.

        The spans of one can be had in memory at the same time, unless it is one span that is huge.
        """
        query = "SELECT id, length(attributes) FROM span WHERE trace_id = ? ORDER BY start_ns, id"
        found: list[list[int]] = []
        size = 0
        for number, length in self._connection.execute(query, (trace,)):
            if not found or size + length > _BATCH_BYTES or len(found[-1]) >= _BATCH_SPANS:
                found.append([])
                size = 0
            found[-1].append(number)
            size += length
        return found

    def spans_with_ids(self, ids: Sequence[int]) -> list[SpanRecord]:
        """Return those of the spans with these *ids* that are still there, in their order."""
        found = dict(spans_with_ids(self._connection, ids))
        return [found[number] for number in ids if number in found]

    def span(self, trace: bytes, span: bytes) -> SpanRecord | None:
        """Return one span of a trace, without reading the others."""
        query = "SELECT id FROM span WHERE trace_id = ? AND span_id = ?"
        ids = [number for (number,) in self._connection.execute(query, (trace, span))]
        found = spans_with_ids(self._connection, ids)
        return found[0][1] if found else None

    def has(self, trace: bytes) -> bool:
        """Whether there is a span of a trace."""
        query = "SELECT 1 FROM span WHERE trace_id = ? LIMIT 1"
        return self._connection.execute(query, (trace,)).fetchone() is not None

    def outline(self, trace: bytes) -> list[SpanRecord]:
        """Return the spans of a trace with only what has a column of its own.

        Those whose kind or session stands elsewhere are read, unless they are very many.
        """
        rows = self._connection.execute(_OUTLINE, (trace,)).fetchall()
        unknown = [number for number, kind, session, *_ in rows if not kind or not session]
        read = dict(
            spans_with_ids(self._connection, unknown if len(unknown) <= _MOST_SPANS else [])
        )
        return [
            read.get(number)
            or SpanRecord(
                *(trace, span, parent, name, start, end),
                attributes={"openinference.span.kind": kind or "", "session.id": session or ""},
                status=status,
            )
            for number, kind, session, span, parent, name, start, end, status in rows
        ]

    def turns(self, trace: bytes) -> Sequence[Turn]:
        """Return the turns of a trace."""
        query = "SELECT count(*), coalesce(max(id), 0) FROM span WHERE trace_id = ?"
        key = (self.identity, trace, *self._connection.execute(query, (trace,)).fetchone())
        if (known := self._turns.get(key)) is not None:
            return known
        found = turns_of(self.spans(trace))
        if key[2] <= _MOST_SPANS:
            self._turns.add(key, found)
        return found

    def scored(self, turn: Turn) -> Turn:
        """Return a turn with what the signals say about it, if it is scored."""
        return replace(turn, **stored_scores(self._connection, turn.session_id, turn))

    def turn(self, trace: bytes, root: bytes) -> Turn:
        """Return the turn of a trace that has this root; raise LookupError if there is none."""
        for turn in self.turns(trace):
            if turn.root_id == root:
                return turn
        if not self.has(trace):
            raise TraceNotFoundError(trace)
        message = f"there is no turn {trace.hex()}-{root.hex()} in the store"
        raise LookupError(message)

    def score_few(self) -> bool:
        """Score what is not, if it is little, so that a page shows it; return whether all is."""
        if self.sessions.is_scored:
            return True
        if self.rows(_NOT_SCORED, (SIGNALS,))[0]["spans"] > _FEW_SPANS:
            return False
        self.sessions.score(_SECONDS_TO_SCORE)
        return self.sessions.is_scored

    def version(self) -> int:
        """Return a number that changes when another connection has written to the store."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


class Readers:
    """Keeps readers of one store open; opens new ones if another file has taken its place."""

    def __init__(self, path: Path, *, before_opening: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._before_opening = before_opening
        self._opened: list[Reader] = []
        self._idle: list[Reader] = []
        self._lock = Lock()
        self._turns = _TurnCache()
        self._answers = Answers()
        self._catching_up = CatchingUp(path)

    @property
    def share(self) -> float:
        """Which share of the store the pages show: the rest is still being summarised."""
        return self._catching_up.share

    @contextmanager
    def lend(self) -> Iterator[Reader]:
        """Yield a reader that nobody else uses meanwhile; raise StoreMissingError without store.

        It reads what was stored until now, or as much of it as can be summarised in a short time.
        """
        reader = self._take()
        try:
            with self._catching_up.reading():
                seconds = 0.0 if self._catching_up.is_at_work else _SECONDS_TO_CATCH_UP
                share = reader.sessions.catch_up(seconds)
                self._catching_up.note(share, scored=reader.score_few())
                yield reader
        except sqlite3.Error:
            reader.close()
            raise
        except BaseException:
            self._give_back(reader)
            raise
        self._give_back(reader)

    def answer(self, key: Hashable, count: Callable[[Reader], Any]) -> Answer:
        """Return what *count* returns, or, if that takes long, has returned under *key* before."""

        def counted() -> Any:
            with self.lend() as reader:
                return count(reader)

        return self._answers.get((_identity(self.path), key), counted)

    def open(self) -> Reader:
        """Return a new reader, which the caller closes."""
        self._before_opening()
        self.follow()
        reader = Reader(self.path, self._turns)
        with self._lock:
            self._opened = [it for it in self._opened if not it.is_closed] + [reader]
        return reader

    def follow(self) -> None:
        """Let go of a log that was removed since it was opened; raise an error if it is in use.

        SQLite has one for all that open the file in this process, the next that writes as well.
        """
        until = monotonic() + _PATIENCE
        while self._has_removed_log():
            if monotonic() > until:
                message = f"{self.path} was replaced while it was open, and is still read"
                raise StoreError(message)
            sleep(0.02)

    def _has_removed_log(self) -> bool:
        for reader in self._take_idle(_identity(self.path))[0]:
            reader.close()
        file, index = _identity(self.path)
        with self._lock:
            opened = [it.identity for it in self._opened if not it.is_closed]
        # One that had none reads the file alone.
        return any(it[0] == file and it[1] not in (None, index) for it in opened)

    def is_current(self, reader: Reader) -> bool:
        """Whether *reader* reads the file that is there now."""
        return reader.identity == _identity(self.path)

    def close(self) -> None:
        """Close all that are not lent."""
        self._catching_up.close()
        with self._lock:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    def _take(self) -> Reader:
        stale, taken = self._take_idle(_identity(self.path), at_most=1)
        for reader in stale:
            reader.close()
        return taken[0] if taken else self.open()

    def _take_idle(self, identity: Identity, at_most: int = 0) -> tuple[list[Reader], list[Reader]]:
        """Take out those that read another file than this one, and some that read this one."""
        with self._lock:
            stale = [reader for reader in self._idle if reader.identity != identity]
            usable = [reader for reader in self._idle if reader.identity == identity]
            self._idle = usable[at_most:]
        return stale, usable[:at_most]

    def _give_back(self, reader: Reader) -> None:
        with self._lock:
            if len(self._idle) < _KEPT_OPEN:
                self._idle.append(reader)
                return
        reader.close()


def readers_of(request: HTTPConnection) -> Readers:
    """Return the readers of the application that answers *request*."""
    state = request.app.state
    request.state.seen = state.changes.number  # What is read from now on has been changed so often.
    readers: Readers = state.readers
    return readers


class _TurnCache:
    """The turns of the traces that were read last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Sequence[Turn]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[Any, ...]) -> Sequence[Turn] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def add(self, key: tuple[Any, ...], turns: Sequence[Turn]) -> None:
        with self._lock:
            self._kept[key] = turns
            while len(self._kept) > _KEPT_TRACES:
                self._kept.popitem(last=False)


def _identity(path: Path) -> Identity:
    return file_identity(path), file_identity(index_of(path))
