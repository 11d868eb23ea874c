"""Finds what is to be evaluated: what nobody has judged yet, or not in its present state.

A verdict is fresh if it is of the evaluator's version, and whoever made it had seen the last span:
of the session's traces, or for a turn or a call, of its trace. What a person has said in an
evaluator's place stands until it is withdrawn.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import time_ns
from typing import Any, NamedTuple

from clew.core.errors import ConfigurationError
from clew.evaluations.evaluators import Evaluator
from clew.sessions.listing import Search, find_sessions
from clew.sessions.scoring import SHOWN
from clew.sessions.store import SessionNotFoundError
from clew.store.encoding import is_utf8

Wanted = Iterable[str] | Mapping[str, Any] | None
"""Which sessions: their ids, or what `SessionStore.list` takes; None: all of them."""
JUDGED_CALLS = frozenset({"model", "tool", "retrieval"})
"""The calls that evaluators of calls are given."""
IN_ITS_PLACE = "annotator_kind = 'HUMAN' AND identifier IN ('', 'user')"
"""An SQL condition: a person has said it in an evaluator's place, and not beside it, under a name
of their own. Who gives feedback, and is not named, is the ``user``."""
_ALL = 2**62
RETRY_SECONDS, MOST_DOUBLINGS = 60, 6
"""After how long a failure is tried again where sessions are watched, and how often it doubles."""


def _is_fresh(trace: str, root: str, span: str, last: str) -> str:
    """Return an SQL condition: the evaluator's verdict about this target is fresh."""
    target = " AND ".join(
        f"said.{name}_id {'IS NULL' if value == 'NULL' else f'= {value}'}"
        for name, value in (("trace", trace), ("root", root), ("span", span))
    )
    return f"""
        SELECT {{selected}} FROM evaluation AS said
        WHERE said.session_id = {{of}}.session_id AND {target} AND said.name = {{name}}
            AND (
                said.version = {{version}} AND said.seen >= {last}
                    AND said.annotator_kind <> 'HUMAN'
                OR {IN_ITS_PLACE}
                    AND (said.score IS NOT NULL OR said.label IS NOT NULL
                        OR said.explanation IS NOT NULL)
            )
            AND NOT EXISTS (
                SELECT 1 FROM evaluation AS newer
                WHERE newer.session_id = said.session_id AND newer.trace_id IS said.trace_id
                    AND newer.root_id IS said.root_id AND newer.span_id IS said.span_id
                    AND newer.name = said.name AND newer.identifier = said.identifier
                    AND (newer.seen > said.seen OR newer.seen = said.seen AND newer.id > said.id)
            )"""


def _last_of(trace: str) -> str:
    # What is said about a trace is put into it, and does not make it go on.
    return (
        f"(SELECT max(id) FROM span WHERE span.trace_id = {trace} "
        "AND openinference_kind IS NOT 'EVALUATOR')"
    )


_SESSION = _is_fresh("NULL", "NULL", "NULL", "session.last_span")
_TURN = _is_fresh("turn.trace_id", "turn.root_id", "NULL", _last_of("turn.trace_id"))
_CALL = _is_fresh("turn.trace_id", "NULL", "said.span_id", _last_of("turn.trace_id")).replace(
    "said.name =",
    "+said.name =",  # The index of names would find those of all sessions.
)
_CALLS = "turn.model_calls + turn.tool_calls + turn.retrievals"
_TARGETS = {
    "session": "1",
    "turn": f"(SELECT count(*) FROM turn WHERE turn.session_id = session.session_id AND {SHOWN})",
    "call": f"(SELECT coalesce(sum({_CALLS}), 0) FROM turn "
    f"WHERE turn.session_id = session.session_id AND {SHOWN})",
}
"""How many sessions, turns or calls of a session there are to look at."""
_PENDING = {
    "session": f"NOT EXISTS ({_SESSION})",
    "turn": "EXISTS (SELECT 1 FROM turn WHERE turn.session_id = session.session_id "
    f"AND {SHOWN} AND NOT EXISTS ({_TURN}))",
    "call": "EXISTS (SELECT 1 FROM turn WHERE turn.session_id = session.session_id "
    f"AND {SHOWN} GROUP BY turn.trace_id HAVING sum({_CALLS}) > ({_CALL}))",
}
_SELECTED = {"session": "1", "turn": "1", "call": "count(DISTINCT said.span_id)"}
_FAILED = """EXISTS (
    SELECT 1 FROM evaluation_error AS error
    WHERE error.session_id = session.session_id AND error.name = {name}
        AND error.version = {version} AND error.seen >= session.last_span AND error.made_ns"""
_FAILED_SINCE = f"{_FAILED} >= :since_ns)"
_FAILED_LATELY = (
    f"{_FAILED} + ({RETRY_SECONDS}000000000 << min(error.attempts - 1, {MOST_DOUBLINGS})) "
    "> :now_ns)"
)


class Candidate(NamedTuple):
    """A session in which there is something to do, for these evaluators."""

    session_id: str
    names: frozenset[str]


class Found(NamedTuple):
    """What a look at the store has found."""

    candidates: list[Candidate]
    fresh: dict[str, int]
    """How many sessions, turns or calls of each evaluator are in sessions with nothing to do."""
    waiting: dict[str, int]
    """How many sessions of each evaluator are not quiet yet."""


def seen_beside(people: Iterable[Sequence[Any]], seen: int) -> int | None:
    """Return how far a verdict has *seen*, as it is kept beside what *people* say in its place.

    Each is an identifier, and how far that person has seen. A verdict that has seen nothing does
    not count. None: it would count even so, and cannot be kept.
    """
    found = [tuple(it) for it in people]
    if not found:
        return seen
    return None if ("", 0) in found else 0


class Pending:
    """Knows which evaluators there are, and asks a store what there is to do for them."""

    def __init__(
        self, evaluators: Sequence[Evaluator], *, again: bool = False, patient: bool = False
    ) -> None:
        """Judge everything *again*; or be *patient* with what has failed lately."""
        self.evaluators = evaluators
        self.again = again
        self.patient = patient
        self._given: dict[str, Any] = {}
        for number, it in enumerate(evaluators):
            self._given |= {f"name{number}": it.name, f"version{number}": it.version}

    def find(
        self, connection: sqlite3.Connection, quiet_ns: int, now_ns: int, *, all_of_them: bool
    ) -> Found:
        """Return the sessions with something to do, those that ended last first.

        Unless *all_of_them* are wanted, only those that `choose` has chosen.
        """
        columns = ", ".join(
            f"{_TARGETS[it.level]}, {self._condition(number)}"
            for number, it in enumerate(self.evaluators)
        )
        chosen = "" if all_of_them else "JOIN wanted USING (session_id)"
        query = f"""
            SELECT session_id, :quiet_ns = 0 OR last_ns + :quiet_ns <= :now_ns, {columns}
            FROM session {chosen} ORDER BY last_ns DESC, session_id
        """
        found = Found([], *(dict.fromkeys((it.name for it in self.evaluators), 0) for _ in "ab"))
        given = {**self._given, "quiet_ns": quiet_ns, "now_ns": now_ns}
        for session_id, is_quiet, *rest in connection.execute(query, given):
            names = set()
            for it, targets, is_pending in zip(self.evaluators, rest[::2], rest[1::2], strict=True):
                if not is_pending:
                    found.fresh[it.name] += targets
                elif is_quiet:
                    names.add(it.name)
                else:
                    found.waiting[it.name] += 1
            if names:
                found.candidates.append(Candidate(session_id, frozenset(names)))
        return found

    def still(
        self, connection: sqlite3.Connection, candidate: Candidate, since_ns: int
    ) -> frozenset[str]:
        """Return for which of its evaluators there is still something to do in a session.

        Where one has failed since then, in another process, it is left to the next run.
        """
        columns = ", ".join(
            f"{self._condition(number)} AND NOT {self._filled(_FAILED_SINCE, number)}"
            for number in range(len(self.evaluators))
        )
        query = f"SELECT {columns} FROM session WHERE session_id = :session_id"
        given = {**self._given, "session_id": candidate.session_id, "now_ns": time_ns()}
        given["since_ns"] = since_ns
        row = connection.execute(query, given).fetchone()
        if row is None:
            return frozenset()
        names = zip(self.evaluators, row, strict=True)
        return candidate.names & {it.name for it, is_pending in names if is_pending}

    def turns(
        self, connection: sqlite3.Connection, session_id: str, name: str
    ) -> set[tuple[bytes, bytes]]:
        """Return trace and root of the turns of a session that an evaluator has to look at."""
        number = self._number(name)
        condition = "1" if self.again else f"NOT EXISTS ({self._filled(_TURN, number)})"
        query = (
            "SELECT trace_id, root_id FROM turn "
            f"WHERE session_id = :session_id AND {SHOWN} AND {condition}"
        )
        return set(connection.execute(query, {**self._given, "session_id": session_id}))

    def judged_calls(
        self, connection: sqlite3.Connection, session_id: str, name: str
    ) -> set[tuple[bytes, bytes]]:
        """Return trace and span of the calls of a session whose verdict is fresh."""
        if self.again:
            return set()
        fresh = self._filled(_CALL, self._number(name), selected="said.span_id")
        query = (
            "SELECT DISTINCT turn.trace_id, span.span_id FROM turn JOIN span USING (trace_id) "
            f"WHERE turn.session_id = :session_id AND {SHOWN} AND span.span_id IN ({fresh})"
        )
        return set(connection.execute(query, {**self._given, "session_id": session_id}))

    def _number(self, name: str) -> int:
        return next(number for number, it in enumerate(self.evaluators) if it.name == name)

    def _condition(self, number: int) -> str:
        level = self.evaluators[number].level
        if self.again:
            return "1"
        condition = self._filled(_PENDING[level], number)
        if self.patient:
            condition = f"({condition} AND NOT {self._filled(_FAILED_LATELY, number)})"
        return condition

    def _filled(self, template: str, number: int, selected: str = "") -> str:
        level = self.evaluators[number].level
        return template.format(
            of="session" if level == "session" else "turn",
            name=f":name{number}",
            version=f":version{number}",
            selected=selected or _SELECTED[level],
        )


def choose(connection: sqlite3.Connection, wanted: Wanted) -> bool:
    """Choose the sessions that are *wanted*; return whether all of them are."""
    if wanted is None:
        return False
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (session_id TEXT PRIMARY KEY)")
    connection.execute("DELETE FROM wanted")
    connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", _ids(connection, wanted))
    return True


def _ids(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[tuple[str]]:
    if isinstance(wanted, Mapping):
        yield from find_sessions(connection, ("session_id",), search_of(wanted))
        return
    for it in (wanted,) if isinstance(wanted, str) else wanted or ():
        given: object = it
        if not isinstance(given, str):
            message = f"sessions={it!r:.80} must be ids of sessions, not {type(it).__name__}"
            raise ConfigurationError(message)
        query = "SELECT session_id FROM session WHERE session_id = ?"
        # SQLite cannot be asked for what is no UTF-8.
        row = connection.execute(query, (it,)).fetchone() if is_utf8(it) else None
        if row is None:
            message = f"there is no session {it!r} in the store"
            raise SessionNotFoundError(message)
        yield row


def search_of(given: Mapping[str, Any]) -> Search:
    """Return the search for all sessions that are *given* by filters."""
    known = Search.__dataclass_fields__
    if any(name not in known for name in given):
        names = ", ".join(known)
        message = f"sessions={dict(given)!r:.200} has a filter that is not known; there are {names}"
        raise ConfigurationError(message)
    return replace(Search(limit=_ALL), **given)
