"""`SessionStore`: the conversations in a store, for programs. `open` returns one."""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from clew.core.errors import ClewError
from clew.sessions import deletion, scoring, summaries
from clew.sessions.listing import BY_SCORE, Order, Rated, Search, find_sessions
from clew.sessions.model import Tokens, Turn
from clew.sessions.session import Session, StoredTurns
from clew.sessions.table import Table
from clew.sessions.views import add_views
from clew.store.database import StoreError, connect, explained
from clew.store.location import store_path
from clew.store.reader import spans_of_session
from clew.store.record import SpanRecord

logger = logging.getLogger("clew")

_COLUMNS = (
    "session_id",
    "user_id",
    "users",
    "first_ns",
    "last_ns",
    "duration_ns",
    "think_ns",
    "turns",
    "spans",
    "model_calls",
    "tool_calls",
    "retrievals",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "errors",
    "failed_turns",
    "latency_p50_ns",
    "latency_p95_ns",
    "first_token_p50_ns",
    "first_message",
    "last_message",
    "models",
    "frameworks",
    "tools",
    "friction",
    "failure",
    "first_bad_turn",
    "first_bad",
    "worst_turn",
    "worst",
)
_SCORES = frozenset({"friction", "failure", "first_bad_turn", "worst_turn"})
_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
_PATIENCE = 5.0
"""For how many seconds another process that writes is waited for."""
_FEW_SPANS = 500
"""Spans that are summarised in about a tenth of a second."""
_CACHE_KILOBYTES = 16_000
"""How much of the file is kept in memory, at most. SQLite's own choice, 2 MB, is for small ones."""
_OUTCOME = (
    "SELECT annotator_kind = 'HUMAN', seen, id, label, score FROM current_evaluation "
    "WHERE session_id = ? AND trace_id IS NULL AND name = 'outcome'"
)
_YES = 0.5
QUESTIONS = files("clew.sessions") / "queries"


class SessionNotFoundError(ClewError, LookupError):
    """There is no session of this id in the store."""


class SessionStore:
    """The conversations in a store. It is a context manager that closes the store."""

    def __init__(self, path: Path, *, catches_up: bool = True, read_only: bool = False) -> None:
        """Open the store at *path*; unless it *catches_up*, answers are from what is summarised.

        Opened *read_only*, it never catches up, and nothing can change the file.
        """
        self.path = path
        self._catches_up = catches_up
        self._may_write = not read_only
        try:
            self._connection = connect(path, read_only=read_only)
        except StoreError:
            self._connection = connect(path, read_only=True)
            self._may_write = False
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
        add_views(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SessionStore {self.path}>"

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def list(  # noqa: PLR0913 - each is a choice that users want
        self,
        *,
        order_by: Order = "last",
        ascending: bool = False,
        user: str | None = None,
        model: str | None = None,
        framework: str | None = None,
        tool: str | None = None,
        tag: str | None = None,
        metadata: Mapping[str, str | float] | None = None,
        text: str | None = None,
        since: datetime | timedelta | None = None,
        until: datetime | None = None,
        errors: bool | None = None,
        rated: Rated | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Sequence[Session]:
        """Return sessions, those with the highest figure first.

        Args:
            order_by: ``last`` (when the last turn ended), ``first``, ``turns``, ``duration``,
                ``tokens``, ``cost``, ``errors``, ``latency``, ``friction``, ``failure`` or
                ``worst``: by the greater of friction and failure, then by the share of turns that
                failed, by errors, and by latency.
            ascending: Return those with the lowest figure first.
            user: Only sessions of this user.
            model: Only sessions in which this model was called.
            framework: Only sessions in which this framework was used.
            tool: Only sessions in which this tool was called.
            tag: Only sessions with a turn that has this tag.
            metadata: Only sessions with a turn whose metadata has this value under this name.
            text: Only sessions with a turn in which all these words were said.
            since: Only sessions with a turn after that time, or in the time before now.
            until: Only sessions that began before that time.
            errors: Only sessions in which something failed; with False, in which nothing did.
            rated: Only sessions that a person rated ``good`` or ``bad``, or of which one said
                ``any`` thing; the session, or one of its turns.
            limit: How many to return.
            after: The id of the last session of the page before this one.
        """
        search = Search(
            order_by=order_by,
            ascending=ascending,
            user=user,
            model=model,
            framework=framework,
            tool=tool,
            tag=tag,
            metadata=metadata,
            text=text,
            since=since,
            until=until,
            errors=errors,
            rated=rated,
            limit=limit,
            after=after,
        )
        self._bring_up_to_date()
        if order_by in BY_SCORE and self._catches_up:
            self.score()
        rows = find_sessions(self._connection, _COLUMNS, search)
        if self._catches_up and self.score(sessions=[row[0] for row in rows]):
            rows = find_sessions(self._connection, _COLUMNS, search)
        return [self._session(row) for row in rows]

    def get(self, session_id: str) -> Session:
        """Return one session; raise `SessionNotFoundError` if it is not in the store."""
        self._bring_up_to_date()
        if self._catches_up:
            self.score(sessions=[session_id])
        query = f"SELECT {', '.join(_COLUMNS)} FROM session WHERE session_id = ?"
        row = self._connection.execute(query, (session_id,)).fetchone()
        if row is None:
            message = f"there is no session {session_id!r} in {self.path}"
            raise SessionNotFoundError(message)
        return self._session(row)

    def users(self) -> Table:
        """Return all users with the figures of their sessions, the one seen last first."""
        return self.ask("users")

    def ask(self, question: str) -> Table:
        """Return the answer to one of the questions that clew comes with."""
        known = sorted(entry.name[:-4] for entry in QUESTIONS.iterdir())
        if question not in known:
            message = f"there is no question {question!r}; there are {', '.join(known)}"
            raise SessionNotFoundError(message)
        return self.sql((QUESTIONS / f"{question}.sql").read_text("utf-8"))

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Table:
        """Return what a query of yours selects from ``spans``, ``turns``, ``sessions`` and more.

        Nothing can be changed by it.
        """
        self._bring_up_to_date()
        self._score_for(query, parameters)
        self._connection.set_authorizer(_may_read)
        try:
            names, cursor = _asked(self._connection, query, parameters)
            return Table(names, cursor.fetchall())
        except (sqlite3.Error, sqlite3.Warning) as error:
            message = f"this query cannot be answered: {error}"
            raise StoreError(message) from error
        finally:
            self._connection.set_authorizer(None)

    def rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows that `sql` would return, each when it is reached: they may be many."""
        self._bring_up_to_date()
        self._score_for(query, parameters)
        with closing(connect(self.path, read_only=True)) as connection:
            add_views(connection)
            connection.set_authorizer(_may_read)
            names, cursor = _asked(connection, query, parameters)
            for row in cursor:
                yield dict(zip(names, row, strict=True))

    def spans(self, session_id: str) -> Iterator[SpanRecord]:
        """Yield the spans of all traces of a session, with everything they were recorded with."""
        return spans_of_session(self._connection, session_id)

    def forget(self, *, session: str | None = None, user: str | None = None) -> deletion.Deleted:
        """Delete a session, or all that a user has said and was answered; return how much."""
        if (session is None) == (user is None):
            message = "give either session= or user="
            raise TypeError(message)
        try:
            if session is not None:
                return deletion.forget_session(self._connection, session)
            return deletion.forget_user(self._connection, str(user))
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

    def catch_up(self, seconds: float = float("inf")) -> float:
        """Summarise what was stored since; return which share of the store is, after *seconds*.

        A few spans are summarised in any case. Where more take longer, `list` and the others answer
        from what has been summarised.
        """
        if not self._may_write:
            return 1.0
        try:
            if seconds < _PATIENCE:
                self._connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
            left, _ = summaries.spans_left(self._connection)
            if summaries.bring_up_to_date(
                self._connection, float("inf") if left <= _FEW_SPANS else seconds
            ):
                return 1.0
        except sqlite3.OperationalError:
            # Another process has been writing for long, or the disk is full.
            if seconds >= _PATIENCE:
                logger.warning("clew: %s is not up to date: it cannot be written now", self.path)
        except sqlite3.DatabaseError as error:
            raise explained(self.path, error) from error
        finally:
            if seconds < _PATIENCE:
                self._connection.execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
        left, stored = summaries.spans_left(self._connection)
        return 1 - left / max(1, stored)

    def score(
        self, seconds: float = float("inf"), *, sessions: Iterable[str] | None = None
    ) -> bool:
        """Score sessions that are not, for about so many *seconds*; return whether any was.

        `list`, `get` and `sql` do this themselves for the sessions that they return or ask about.

        Args:
            seconds: How long. Those that ended last are scored first.
            sessions: Only these.
        """
        if not self._may_write or scoring.are_scored(self._connection):
            return False
        before = self._connection.total_changes
        try:
            if sessions is None:
                scoring.score_all(self._connection, seconds)
            else:
                scoring.use_current_signals(self._connection)
                scoring.score_sessions(self._connection, sessions)
        except sqlite3.OperationalError:
            logger.warning("clew: %s cannot be written now, so not all is scored", self.path)
        except sqlite3.DatabaseError as error:
            raise explained(self.path, error) from error
        return self._connection.total_changes > before

    def _score_for(self, query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> None:
        """Score all sessions if a query reads scores."""
        if not self._catches_up or scoring.are_scored(self._connection):
            return
        read: set[str | None] = set()

        def note(action: int, first: str | None, second: str | None, *_: object) -> int:
            if action == sqlite3.SQLITE_READ and first in {"session", "turn_score"}:
                read.add(second)
            return _may_read(action, first)

        self._connection.set_authorizer(note)
        try:
            self._connection.execute(f"EXPLAIN {query}", parameters)
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return  # Whoever asks is told when it is asked in earnest.
        finally:
            self._connection.set_authorizer(None)
        if read & _SCORES:
            self.score()

    def _bring_up_to_date(self) -> None:
        if self._catches_up:
            self.catch_up()

    def _session(self, row: Sequence[Any]) -> Session:
        values = dict(zip(_COLUMNS, row, strict=True))
        first_token = values["first_token_p50_ns"]
        same = ("users", "spans", "model_calls", "tool_calls", "retrievals", "cost", "errors")
        return Session(
            id=values["session_id"],
            user_id=values["user_id"] or "",
            first=_moment(values["first_ns"]),
            last=_moment(values["last_ns"]),
            seconds=values["duration_ns"] / 1e9,
            think_seconds=values["think_ns"] / 1e9,
            tokens=Tokens(
                values["prompt_tokens"],
                values["completion_tokens"],
                values["total_tokens"],
                values["cached_tokens"],
                values["reasoning_tokens"],
            ),
            failed_turns=values["failed_turns"],
            latency_p50=values["latency_p50_ns"] / 1e9,
            latency_p95=values["latency_p95_ns"] / 1e9,
            first_token_p50=None if first_token is None else first_token / 1e9,
            first_message=values["first_message"],
            last_message=values["last_message"],
            models=tuple(json.loads(values["models"])),
            frameworks=tuple(json.loads(values["frameworks"])),
            tools=tuple(json.loads(values["tools"])),
            turns=StoredTurns(values["turns"], partial(self._turns, values["session_id"])),
            friction=values["friction"],
            failure=values["failure"],
            first_bad_turn=scoring.bad_turn(values["first_bad_turn"], values["first_bad"]),
            worst_turn=scoring.bad_turn(values["worst_turn"], values["worst"]),
            outcome=self._outcome(values["session_id"]),
            **{name: values[name] for name in same},
        )

    def _turns(self, session_id: str, skipped: int, number: int) -> Iterator[Turn]:
        for turn in scoring.read_turns(self._connection, session_id, skipped, number):
            yield replace(turn, **scoring.stored_scores(self._connection, session_id, turn))

    def _outcome(self, session_id: str) -> str:
        """Return what was said last about the outcome of a session, by a person if one said it."""
        said = self._connection.execute(_OUTCOME, (session_id,)).fetchall()
        if not said:
            return "unknown"
        *_, label, score = max(said)  # The numbers of evaluations differ.
        return label or ("unknown" if score is None else "yes" if score >= _YES else "no")


def _asked(
    connection: sqlite3.Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any]
) -> tuple[list[str], sqlite3.Cursor]:
    """Return the names of the columns that *query* selects, and the cursor with its rows."""
    try:
        cursor = connection.execute(query, parameters)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        message = f"this query cannot be answered: {error}"
        raise StoreError(message) from error
    if cursor.description is None:
        message = "this query cannot be answered: it selects nothing"
        raise StoreError(message)
    return [column[0] for column in cursor.description], cursor


def open(path: str | Path | None = None) -> SessionStore:  # noqa: A001 - it is sessions.open()
    """Open the store at *path*, or the one that ``CLEW_STORE`` names.

    >>> with open() as store:  # doctest: +SKIP
    ...     for session in store.list(order_by="cost", limit=10):
    ...         print(session.id, session.cost, session.first_message)
    """
    place = store_path() if path is None else Path(path)
    if place is None:
        message = "CLEW_STORE=off: there is no store; name one: clew.sessions.open(path)"
        raise StoreError(message)
    return SessionStore(place)


def _may_read(action: int, first: str | None, *_: object) -> int:
    """Tell SQLite whether a query may do this. It may read, and neither write nor open files."""
    # The full-text index asks for the version of the data that it reads.
    if action in _READING or (action == sqlite3.SQLITE_PRAGMA and first == "data_version"):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
