"""`EngineStore`: the conversations on an engine, with the questions of a `SessionStore`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Self

from clew.sessions.deletion import Deleted
from clew.sessions.engines import asking, forgetting, searching
from clew.sessions.engines.engine import Engine
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.in_time import in_time
from clew.sessions.engines.translation import Translated
from clew.sessions.engines.updating import (
    How,
    bring_up_to_date,
    changing,
    days_of_traces,
    spans_of_traces,
)
from clew.sessions.listing import Search
from clew.sessions.model import Turn
from clew.sessions.rows import COLUMNS, outcome_of, session_from
from clew.sessions.scoring import SHOWN, TURN_ORDER, findings_of
from clew.sessions.session import Session
from clew.sessions.store import SessionNotFoundError, question_text
from clew.sessions.table import Table
from clew.sessions.words import turns_of
from clew.store.record import SpanRecord

_TURNS_AT_ONCE = 200
Rows = list[tuple[Any, ...]]


class EngineStore:
    """The conversations on an engine. It is a context manager that closes the connection."""

    def __init__(
        self,
        source: Engine,
        tables: Engine,
        how: How | None = None,
        *,
        is_shared: bool = False,
        local: forgetting.Local | None = None,
    ) -> None:
        """Read spans from *source*, and keep what is found in them on *tables*; may be the same.

        The tables *are shared* where they are on the engine, and not in a file on this machine.
        What is *local* is what else may be known of the engine here.
        """
        self.path = source.label
        self._tables = tables
        self.is_shared = is_shared
        self._local = local
        self._source = source
        self._how = how or How()
        self.window = self._how.window
        # What is asked for is of the time that was chosen, and not what else was read before.
        self._asked_source = in_time(source, self.window)
        self._asked_tables = (
            self._asked_source if tables is source else in_time(tables, self.window)
        )
        self._is_up_to_date = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EngineStore {self.path}>"

    @property
    def tables(self) -> Engine:
        """The engine that keeps clew's tables."""
        return self._tables

    @property
    def engines(self) -> Sequence[Engine]:
        """The engines that are asked: that of the spans, and another one if it keeps the tables."""
        return list(dict.fromkeys((self._source, self._tables)))

    def close(self) -> None:
        """End the connections."""
        self._source.close()
        if self._tables is not self._source:
            self._tables.close()

    def cancel(self) -> None:
        """Stop the question that another thread is waiting for."""
        for engine in self.engines:
            with suppress(UnsupportedError):
                engine.cancel()

    def catch_up(self, seconds: float = float("inf")) -> bool:
        """Summarise what has changed since the last time; return whether that is all done."""
        self._is_up_to_date = bring_up_to_date(self._source, self._tables, self._how, seconds)
        return self._is_up_to_date

    def list(self, **search: Any) -> Sequence[Session]:
        """Return sessions, those with the highest figure first; it takes what `Search` does."""
        wanted = Search(**search)
        self._need_summaries()
        return self._sessions(searching.find_sessions(self._asked_tables, COLUMNS, wanted))

    def get(self, session_id: str) -> Session:
        """Return one session; raise `SessionNotFoundError` if it is not there."""
        found = self.several([session_id])
        if not found:
            message = f"there is no session {session_id!r} in {self.path}"
            raise SessionNotFoundError(message)
        return found[0]

    def several(self, session_ids: Sequence[str]) -> Sequence[Session]:
        """Return those of these sessions that are there."""
        self._need_summaries()
        if not session_ids:
            return []
        marks = ", ".join("?" * len(session_ids))
        query = f"SELECT {', '.join(COLUMNS)} FROM session WHERE session_id IN ({marks})"
        return self._sessions(asking.rows(self._asked_tables, query, session_ids))

    def users(self) -> Table:
        """Return all users with the figures of their sessions, the one seen last first."""
        return self.ask("users")

    def ask(self, name: str) -> Table:
        """Return the answer to one of the questions that clew comes with."""
        return self.sql(question_text(name))

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Table:
        """Return what a query selects from ``spans``, ``turns``, ``sessions`` and more.

        It is in the SQL of SQLite, and is translated. What the engine would answer otherwise than
        SQLite raises an error that says so.
        """
        return asking.asked(*self._translated(query, parameters))

    def rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows that `sql` would return, each when it is reached: they may be many."""
        names, batches = asking.row_batches(*self._translated(query, parameters))
        for some in batches:
            for row in some:
                yield dict(zip(names, row, strict=True))

    def spans(self, session_id: str) -> Iterator[SpanRecord]:
        """Yield the spans of all traces of a session, as far as the engine keeps what they are."""
        query = "SELECT trace_id FROM spans WHERE session_id = ? GROUP BY trace_id"
        traces = [trace for (trace,) in asking.rows(self._source, query, (session_id,))]
        yield from spans_of_traces(self._source, traces)

    def forget(self, *, session: str | None = None, user: str | None = None) -> Deleted:
        """Delete a session, or all traces of a user, where the engine can delete.

        A trace is deleted as a whole: one that somebody else shares raises UnsupportedError. Files
        on this machine that are left with unused parts are written anew when the store is closed. A
        store whose URL chooses a time cannot delete.
        """
        if (session is None) == (user is None):
            message = "give either session= or user="
            raise TypeError(message)
        if self.window.is_bounded:
            message = "a session or a user is deleted as a whole: leave out since= and until="
            raise UnsupportedError(message)
        column, value = ("session_id", session) if session is not None else ("user_id", user)
        with changing(self._tables):
            deleted = forgetting.forget(self._source, self._tables, column, str(value))
        self._is_up_to_date = False
        if self._local is not None:
            forgetting.forget_locally(self._local, column, str(value), is_shared=self.is_shared)
        return deleted

    def text_lookup(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Return a query for the sessions in which all words of *text* were said in a turn."""
        return searching.text_lookup(text)

    @property
    def is_scored(self) -> bool:
        """Whether every session is scored; here, sessions are scored when they are summarised."""
        return True

    def score(
        self, seconds: float = float("inf"), *, sessions: Iterable[str] | None = None
    ) -> bool:
        """Return whether any session was scored: each is, when it is summarised."""
        return False

    def _need_summaries(self) -> None:
        if not self._is_up_to_date:
            self.catch_up()

    def _translated(self, query: str, parameters: Any) -> tuple[Engine, Translated]:
        """Return the engine that can answer a query, and the query in its SQL."""
        text = asking.translation(self._asked_source, query, parameters)
        if text.asks - {"spans"}:
            self._need_summaries()
        if text.asks == {"spans"} or self._tables is self._source:
            return self._source, text
        if "spans" not in text.asks:
            if self._tables.dialect != self._source.dialect:
                text = asking.translation(self._asked_tables, query, parameters)
            return self._tables, text
        message = (
            f"this query asks for spans and for what clew has found in them; the spans are in "
            f"{self._source.name}, and clew's tables are not: make them there with "
            f"clew engines init {self.path}, or ask for one after the other"
        )
        raise UnsupportedError(message)

    def _sessions(self, found: Sequence[Sequence[Any]]) -> "Sequence[Session]":
        outcomes = self._outcomes([row[0] for row in found])
        return [
            session_from(row, partial(self._turns, row[0]), outcome_of(outcomes.get(row[0], ())))
            for row in found
        ]

    def _outcomes(self, sessions: Sequence[str]) -> dict[str, Rows]:
        if not sessions:
            return {}
        query = (
            "SELECT session_id, annotator_kind, seen, id, label, score FROM current_evaluation "
            "WHERE trace_id IS NULL AND name = 'outcome' "
            f"AND session_id IN ({', '.join('?' * len(sessions))})"
        )
        found: dict[str, Rows] = {}
        # Sorted, so that it is the same query for every order, which is not translated again.
        for session, kind, *rest in asking.rows(self._asked_tables, query, sorted(sessions)):
            found.setdefault(session, []).append((kind == "HUMAN", *rest))
        return found

    def _turns(self, session_id: str, skipped: int, number: int) -> Iterator[Turn]:
        query = (
            "SELECT trace_id, root_id, friction, failure, findings FROM turn "
            f"WHERE session_id = ? AND {SHOWN} ORDER BY {TURN_ORDER} LIMIT ? OFFSET ?"
        )
        stored = asking.rows(self._tables, query, (session_id, number, skipped))
        for start in range(0, len(stored), _TURNS_AT_ONCE):
            yield from self._read(session_id, stored[start : start + _TURNS_AT_ONCE])

    def _read(self, session_id: str, stored: Sequence[Sequence[Any]]) -> Iterator[Turn]:
        by_trace: dict[str, list[SpanRecord]] = {}
        traces = list(dict.fromkeys(row[0] for row in stored))
        days = days_of_traces(self._tables, traces)
        for span in spans_of_traces(self._source, traces, days):
            by_trace.setdefault(span.trace_id.hex(), []).append(span)
        turns = {
            (trace, turn.root_id.hex()): turn
            for trace, spans in by_trace.items()
            for turn in turns_of(sorted(spans, key=lambda it: it.start))
            if turn.session_id == session_id
        }
        for trace, root, friction, failure, findings in stored:
            turn = turns.get((trace, root))
            if turn is not None:  # Its spans may have been deleted meanwhile.
                yield replace(
                    turn, friction=friction, failure=failure, findings=findings_of(findings)
                )
