"""RunStore: the store as a run of evaluators uses it, from one thread.

A verdict is bound to what its evaluator can have seen: `Unit.seen` is read before the session is.
What was said about spans that were deleted meanwhile is not kept.
"""

import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import time_ns

from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.results import insert
from clew.evaluations.running.claims import LEASE_SECONDS, Claims
from clew.evaluations.running.pending import (
    IN_ITS_PLACE,
    Candidate,
    Found,
    Pending,
    Wanted,
    choose,
    seen_beside,
)
from clew.evaluations.running.units import SharedTurns, Target, Unit, calls_of, short_error
from clew.sessions.store import SessionNotFoundError, SessionStore
from clew.store.database import connect, transaction
from clew.store.fork_guard import no_fork
from clew.store.fork_safe import ForkSafeConnection

logger = logging.getLogger("clew")

_SPANS = (
    "SELECT trace_id, count(*) FROM span WHERE id <= ? "
    "AND trace_id IN (SELECT trace_id FROM turn WHERE session_id = ?)"
)
_PEOPLE = (
    "SELECT identifier, seen FROM current_evaluation WHERE session_id = ? AND trace_id IS ? "
    f"AND root_id IS ? AND span_id IS ? AND name = ? AND {IN_ITS_PLACE}"
)


class RunStore:
    """What a run finds out about the store, and writes to it."""

    def __init__(
        self, path: Path, pending: Pending, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self.path = path
        self._pending = pending
        self._started_ns = time_ns()
        self._readers: list[SessionStore] = []
        self._reading: dict[str, SessionStore] = {}
        self._store = SessionStore(path)
        try:
            self._file = ForkSafeConnection(partial(connect, path))
        except BaseException:
            self._store.close()
            raise
        self.claims = Claims(path, lease_seconds)

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._file.get()

    def close(self) -> None:
        """Give back what is claimed, and close the store."""
        try:
            self.claims.stop()
            with no_fork():
                self.claims.close(self._connection)
        finally:
            self._file.close()
            for store in (self._store, *self._readers, *self._reading.values()):
                store.close()

    @no_fork()
    def find(self, wanted: Wanted, quiet_ns: int) -> Found:
        """Return what there is to do in the sessions that are *wanted*."""
        self._started_ns = time_ns()
        self._store.catch_up()
        self.claims.sweep(self._connection)
        chosen = choose(self._connection, wanted)
        return self._pending.find(
            self._connection, quiet_ns, self._started_ns, all_of_them=not chosen
        )

    @no_fork()
    def claim(self, candidates: Iterable[Candidate]) -> tuple[list[Unit], list[Candidate]]:
        """Claim sessions; return those that are ours now, and those that others evaluate."""
        self._store.catch_up()
        units, elsewhere = [], []
        with transaction(self._connection):
            for candidate in candidates:
                names = self._pending.still(self._connection, candidate, self._started_ns)
                taken = frozenset(self.claims.take(self._connection, candidate.session_id, names))
                if names - taken:
                    elsewhere.append(Candidate(candidate.session_id, names - taken))
                if taken:
                    units.append(Unit(candidate.session_id, taken))
        return units, elsewhere

    def _spans(self, session_id: str, seen: int, trace: bytes | None = None) -> dict[bytes, int]:
        """Return how many spans up to *seen* there are in each trace of a session, or in one."""
        of_one = "" if trace is None else "AND trace_id = ?"
        given = (seen, session_id) if trace is None else (seen, session_id, trace)
        query = f"{_SPANS} {of_one} GROUP BY trace_id"
        return dict(self._connection.execute(query, given).fetchall())

    @no_fork()
    def left_by_others(
        self, candidates: Iterable[Candidate]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Return in which of these there is something to do, and which others still evaluate."""
        self._store.catch_up()
        free, held = [], []
        with transaction(self._connection):
            for candidate in candidates:
                names = self._pending.still(self._connection, candidate, self._started_ns)
                ours = {
                    it
                    for it in names
                    if self.claims.may_take(self._connection, candidate.session_id, it)
                }
                if ours:
                    free.append(Candidate(candidate.session_id, frozenset(ours)))
                if names - ours:
                    held.append(Candidate(candidate.session_id, names - ours))
        return free, held

    @no_fork()
    def read(self, unit: Unit) -> bool:
        """Read the session of a unit; return whether it is still there."""
        self._store.catch_up()
        query = "SELECT value FROM progress WHERE name = 'summarised'"
        (unit.seen,) = self._connection.execute(query).fetchone()
        unit.spans = self._spans(unit.session_id, unit.seen)
        self._store.score(sessions=[unit.session_id])
        reader = self._readers.pop() if self._readers else SessionStore(self.path, catches_up=False)
        try:
            session = reader.get(unit.session_id)
        except SessionNotFoundError:
            self._readers.append(reader)
            return False
        unit.session = replace(session, turns=SharedTurns(session.turns))
        self._reading[unit.session_id] = reader
        return True

    @no_fork()
    def targets(self, unit: Unit, it: Evaluator) -> tuple[list[Target], int]:
        """Return what an evaluator has to look at, and how many turns or calls it need not."""
        session = unit.session
        if session is None or it.level == "session":
            return [Target((session,))], 0
        if it.level == "turn":
            wanted = self._pending.turns(self._connection, unit.session_id, it.name)
            found = [
                Target((turn, session), turn.trace_id, turn.root_id)
                for turn in session.turns
                if (turn.trace_id, turn.root_id) in wanted
            ]
            return found, len(session.turns) - len(found)
        judged = self._pending.judged_calls(self._connection, unit.session_id, it.name)
        calls = calls_of(session)
        found = [
            Target((call, turn, session), turn.trace_id, None, call.span_id)
            for call, turn in calls
            if (turn.trace_id, call.span_id) not in judged
        ]
        return found, len(calls) - len(found)

    @no_fork()
    def record(self, unit: Unit, it: Evaluator, target: Target, made: Evaluation) -> bool:
        """Keep a verdict; return False if what it is about was deleted meanwhile.

        Where a person has said something in the evaluator's place, it is kept, and does not count.
        """
        verdict = replace(
            made,
            session_id=unit.session_id,
            trace_id=target.trace_id,
            root_id=target.root_id,
            span_id=target.span_id,
            version=it.version,
        )
        place = (unit.session_id, target.trace_id, target.root_id, target.span_id, made.name)
        with transaction(self._connection):
            if not self._is_there(unit, target.trace_id):
                return False
            people = self._connection.execute(_PEOPLE, place)
            if (seen := seen_beside(people, unit.seen)) is not None:
                insert(self._connection, replace(verdict, seen=seen))
            self._connection.execute(
                "DELETE FROM evaluation_error WHERE session_id = ? AND trace_id = ? "
                "AND root_id = ? AND span_id = ? AND name = ?",
                (*_key(unit, target), it.name),
            )
            if it.level == "session":
                self.claims.release(self._connection, unit.session_id, it.name)
        return True

    @no_fork()
    def record_error(self, unit: Unit, it: Evaluator, target: Target, error: str) -> None:
        """Keep that an evaluator has failed."""
        with transaction(self._connection):
            if not self._is_there(unit, target.trace_id):
                return
            self._connection.execute(
                "INSERT INTO evaluation_error (session_id, trace_id, root_id, span_id, name, "
                "version, seen, error, attempts, made_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) "
                "ON CONFLICT (session_id, trace_id, root_id, span_id, name) DO UPDATE SET "
                "attempts = iif(version = excluded.version AND seen = excluded.seen, "
                "attempts + 1, 1), version = excluded.version, seen = excluded.seen, "
                "error = excluded.error, made_ns = excluded.made_ns",
                (
                    *_key(unit, target),
                    it.name,
                    it.version,
                    unit.seen,
                    short_error(error),
                    time_ns(),
                ),
            )

    @no_fork()
    def finish(self, unit: Unit) -> None:
        """Give back what was claimed of a session."""
        if unit.session is not None and isinstance(unit.session.turns, SharedTurns):
            unit.session.turns.close()
        if (reader := self._reading.pop(unit.session_id, None)) is not None:
            self._readers.append(reader)
        try:
            with transaction(self._connection):
                for name in unit.names:
                    self.claims.release(self._connection, unit.session_id, name)
        except sqlite3.OperationalError as error:  # They are given back at the end of the run.
            logger.debug("clew: a session cannot be given back now: %s", error)

    def _is_there(self, unit: Unit, trace: bytes | None) -> bool:
        """Whether nothing was deleted, or given to another session, of what a unit has seen.

        With a *trace*, of that one.
        """
        query = "SELECT DISTINCT trace_id FROM turn WHERE session_id = ?"
        there = {it for (it,) in self._connection.execute(query, (unit.session_id,))}
        left = self._spans(unit.session_id, unit.seen, trace)
        if trace is not None:
            return trace in there and left.get(trace, 0) >= unit.spans.get(trace, 0)
        turns = unit.session.turns if unit.session is not None else ()
        read = turns.read if isinstance(turns, SharedTurns) else ()  # Some may be newer.
        return all(it.trace_id in there for it in read) and all(
            left.get(it, 0) >= number for it, number in unit.spans.items()
        )


def _key(unit: Unit, target: Target) -> tuple[str, bytes, bytes, bytes]:
    none = b""
    ids = target.trace_id or none, target.root_id or none, target.span_id or none
    return (unit.session_id, *ids)
