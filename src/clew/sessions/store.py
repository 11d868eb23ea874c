"""`SessionStore`: the conversations in a store, for programs."""

import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from clew.core.errors import ClewError
from clew.sessions import deletion, scoring, summaries
from clew.sessions.listing import BY_SCORE, Order, Rated, Search, check_text, find_sessions
from clew.sessions.rows import COLUMNS, session_of
from clew.sessions.session import Session
from clew.sessions.table import Table
from clew.sessions.views import add_views
from clew.store.database import StoreError, connect, explained
from clew.store.encoding import is_utf8
from clew.store.fork_guard import no_fork
from clew.store.fork_safe import ForkSafeConnection, ForkSafeRows
from clew.store.reader import spans_of_trace, traces_of_session
from clew.store.record import SpanRecord

logger = logging.getLogger("clew")

_SCORES = re.compile(r"friction|failure|first_bad|worst_turn|(?<!\()\*", re.IGNORECASE)
"""What a query contains that reads scores: their names, or a star that stands for all columns."""
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
            self._file = ForkSafeConnection(partial(_opened, path, read_only=read_only))
        except StoreError:
            self._file = ForkSafeConnection(partial(_opened, path, read_only=True))
            self._may_write = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SessionStore {self.path}>"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._file.get()

    @no_fork()
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
            user: Only sessions of this user, or of their pseudonym with ``CLEW_USER_ID_KEY``.
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
        rows = find_sessions(self._connection, COLUMNS, search)
        if self._catches_up and self.score(sessions=[row[0] for row in rows]):
            rows = find_sessions(self._connection, COLUMNS, search)
        return [session_of(self._file, row) for row in rows]

    @no_fork()
    def get(self, session_id: str) -> Session:
        """Return one session; raise `SessionNotFoundError` if it is not in the store."""
        if not is_utf8(session_id):  # SQLite cannot be asked for it.
            message = f"there is no session {session_id!r:.300} in {self.path}"
            raise SessionNotFoundError(message)
        self._bring_up_to_date()
        if self._catches_up:
            self.score(sessions=[session_id])
        query = f"SELECT {', '.join(COLUMNS)} FROM session WHERE session_id = ?"
        row = self._connection.execute(query, (session_id,)).fetchone()
        if row is None:
            message = f"there is no session {session_id!r} in {self.path}"
            raise SessionNotFoundError(message)
        return session_of(self._file, row)

    def users(self) -> Table:
        """Return all users with the figures of their sessions, the one seen last first."""
        return self.ask("users")

    def ask(self, question: str) -> Table:
        """Return the answer to one of the questions that clew comes with."""
        return self.sql(question_text(question))

    @no_fork()
    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Table:
        """Return what a query of yours selects from ``spans``, ``turns``, ``sessions`` and more.

        Nothing can be changed by it.
        """
        self._bring_up_to_date()
        self._score_for(query)
        self._connection.set_authorizer(_may_read)
        try:
            names, cursor = _asked(self._connection, query, parameters)
            return Table(names, cursor.fetchall())
        except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
            message = f"this query cannot be answered: {error}"
            raise StoreError(message) from error
        finally:
            self._connection.set_authorizer(None)

    def rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows that `sql` would return, each when it is reached: they may be many.

        If the process forks meanwhile, those that are left are read at once.
        """
        self._bring_up_to_date()
        self._score_for(query)
        with no_fork():
            connection = connect(self.path, read_only=True)
            try:
                add_views(connection)
                connection.set_authorizer(_may_read)
                names, cursor = _asked(connection, query, parameters)
                rows = ForkSafeRows(connection, cursor)
            except BaseException:
                connection.close()
                raise
        with closing(rows):
            for row in rows:
                yield dict(zip(names, row, strict=True))

    def spans(self, session_id: str) -> Iterator[SpanRecord]:
        """Yield the spans of all traces of a session, with everything they were recorded with."""
        with no_fork():
            traces = traces_of_session(self._connection, session_id)
        for trace in traces:
            with no_fork():
                spans = spans_of_trace(self._connection, trace)
            yield from spans

    @no_fork()
    def forget(self, *, session: str | None = None, user: str | None = None) -> deletion.Deleted:
        """Delete a session, or all that a user has said and was answered; return how much."""
        if (session is None) == (user is None):
            message = "give either session= or user="
            raise TypeError(message)
        check_text("session", session)
        check_text("user", user)
        try:
            if session is not None:
                return deletion.forget_session(self._connection, session)
            return deletion.forget_user(self._connection, str(user))
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

    @no_fork()
    def finish_forgetting(self) -> None:
        """Take out of the files what an interrupted `forget` left there. It deletes nothing."""
        try:
            deletion.erased(self._connection, deletion.Deleted(0, 0))
        except sqlite3.Error as error:
            raise explained(self.path, error) from error

    def text_lookup(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Return a query for the sessions in which all words of *text* were said in a turn."""
        words = re.findall(r"\w+", text)
        if not words:
            return "SELECT session_id FROM session WHERE 0", ()
        lookup = (
            "SELECT turn.session_id FROM turn_text JOIN turn ON turn.id = turn_text.rowid "
            "WHERE turn_text MATCH ?"
        )
        return lookup, (" ".join(f'"{it}"' for it in words),)

    @no_fork()
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

    @no_fork()
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
            if seconds < _PATIENCE:
                self._connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
            if sessions is None:
                scoring.score_all(self._connection, seconds)
            else:
                scoring.use_current_signals(self._connection)
                scoring.score_sessions(self._connection, sessions)
        except sqlite3.OperationalError:
            if seconds >= _PATIENCE:
                logger.warning("clew: %s cannot be written now, so not all is scored", self.path)
        except sqlite3.DatabaseError as error:
            raise explained(self.path, error) from error
        finally:
            if seconds < _PATIENCE:
                self._connection.execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
        return self._connection.total_changes > before

    @property
    @no_fork()
    def is_scored(self) -> bool:
        """Whether every session is scored; of one that is not, `Session.friction` is None."""
        return scoring.are_scored(self._connection)

    def _score_for(self, query: str) -> None:
        """Score all sessions if a query may read scores."""
        if self._catches_up and _SCORES.search(query):
            self.score()

    def _bring_up_to_date(self) -> None:
        if self._catches_up:
            self.catch_up()


def _opened(path: Path, *, read_only: bool) -> sqlite3.Connection:
    connection = connect(path, read_only=read_only)
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
        add_views(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def question_text(question: str) -> str:
    """Return one of the questions that clew comes with, in SQL."""
    known = sorted(entry.name[:-4] for entry in QUESTIONS.iterdir())
    if question not in known:
        message = f"there is no question {question!r}; there are {', '.join(known)}"
        raise SessionNotFoundError(message)
    return (QUESTIONS / f"{question}.sql").read_text("utf-8")


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


def _may_read(action: int, first: str | None, *_: object) -> int:
    """Tell SQLite whether a query may do this. It may read, and neither write nor open files."""
    # The full-text index asks for the version of the data that it reads.
    if action in _READING or (action == sqlite3.SQLITE_PRAGMA and first == "data_version"):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
