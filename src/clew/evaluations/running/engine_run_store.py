"""EngineRunStore: an engine with clew's tables as a run of evaluators uses it, from one thread.

Rows are only added: verdicts to `clew_evaluations`, failures to `clew_evaluation_errors`, claims to
`clew_claims`. A verdict counts as soon as it is there, so of a process that is killed only those
are made again that it was waiting for.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clew.evaluations import on_engines
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.results import row_on_engine
from clew.evaluations.running.claims import LEASE_SECONDS
from clew.evaluations.running.engine_claims import EngineClaims, Key, range_of
from clew.evaluations.running.engine_pending import EnginePending, State
from clew.evaluations.running.pending import (
    IN_ITS_PLACE,
    Candidate,
    Found,
    Pending,
    Wanted,
    seen_beside,
)
from clew.evaluations.running.units import SharedTurns, Target, Unit, calls_of, short_error
from clew.sessions.engines.asking import rows
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.evaluation_rows import TABLE, insert
from clew.sessions.engines.parts import session_part
from clew.sessions.engines.store import EngineStore

if TYPE_CHECKING:
    from clew.sessions.session import Session


_IS_THERE = "SELECT part FROM clew_part WHERE part = ? AND batch = ? LIMIT 1"
_PEOPLE = (
    "SELECT identifier, seen FROM current_evaluation WHERE session_id = ? "
    "AND coalesce(trace_id, '') = ? AND coalesce(root_id, '') = ? AND coalesce(span_id, '') = ? "
    f"AND name = ? AND {IN_ITS_PLACE}"
)


class EngineRunStore:
    """What a run finds out about an engine, and writes to clew's tables there."""

    def __init__(
        self, store: EngineStore, pending: Pending, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        on_engines.check_shared(store, "keeping what evaluators say")
        self._store = store
        self._tables = store.tables
        self._pending = EnginePending(store.tables, pending)
        self._states: dict[str, State] = {}
        self._sessions: dict[str, Session] = {}
        self._in_hand: Counter[Key] = Counter()
        self._started_ns = self._tables.now_ns()
        self.claims = EngineClaims(store.tables, lease_seconds)

    def close(self) -> None:
        """Give back what is claimed. The store stays open."""
        self.claims.close()

    def find(self, wanted: Wanted, quiet_ns: int) -> Found:
        """Return what there is to do in the sessions that are *wanted*."""
        self._store.catch_up()
        self.claims.sweep()
        self._started_ns = self._tables.now_ns()
        return self._pending.find(wanted, quiet_ns, self._started_ns, self._store.window)

    def claim(self, candidates: Iterable[Candidate]) -> tuple[list[Unit], list[Candidate]]:
        """Claim sessions; return those that are ours now, and those that others evaluate."""
        wanted = list(candidates)
        taken = self.claims.take({key for it in wanted for key in _keys(it.session_id, it.names)})
        # Not before they are ours: what another process has just given back is evaluated.
        found = self._pending.still(wanted, self._started_ns, self._tables.now_ns())
        ids = [it for it in found if any(key in taken for key in _keys(it, found[it][0]))]
        self._sessions.update((it.id, it) for it in self._store.several(ids))
        units, elsewhere = [], []
        for session_id, (names, state) in found.items():
            ours = frozenset(it for it in names if Key(range_of(session_id), it) in taken)
            if names - ours:
                elsewhere.append(Candidate(session_id, names - ours))
            if ours:
                spans = {bytes.fromhex(trace): it for trace, it in state.spans.items()}
                units.append(Unit(session_id, ours, state.last_span, spans))
                self._states[session_id] = state
                self._in_hand.update(_keys(session_id, ours))
        self.claims.release([it for it in taken if not self._in_hand[it]])
        return units, elsewhere

    def left_by_others(
        self, candidates: Iterable[Candidate]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Return in which of these there is something to do, and which others still evaluate."""
        now = self._tables.now_ns()
        found = self._pending.still(list(candidates), self._started_ns, now)
        keys = {key for it, (names, _) in found.items() for key in _keys(it, names)}
        free_keys = self.claims.free(keys)
        free, held = [], []
        for session_id, (names, _) in found.items():
            ours = frozenset(it for it in names if Key(range_of(session_id), it) in free_keys)
            if ours:
                free.append(Candidate(session_id, ours))
            if names - ours:
                held.append(Candidate(session_id, names - ours))
        return free, held

    def read(self, unit: Unit) -> bool:
        """Read the session of a unit; return whether it is still there, and still ours."""
        if not all(map(self.claims.holds, _keys(unit.session_id, unit.names))):
            return False
        if (session := self._sessions.get(unit.session_id)) is None:
            return False
        unit.session = replace(session, turns=SharedTurns(session.turns))
        return True

    def targets(self, unit: Unit, it: Evaluator) -> tuple[list[Target], int]:
        """Return what an evaluator has to look at, and how many turns or calls it need not."""
        session, state = unit.session, self._states[unit.session_id]
        if session is None or it.level == "session":
            return [Target((session,))], 0
        if it.level == "turn":
            wanted = self._pending.turns(state, it)
            found = [
                Target((turn, session), turn.trace_id, turn.root_id)
                for turn in session.turns
                if (turn.trace_id.hex(), turn.root_id.hex()) in wanted
            ]
            return found, len(session.turns) - len(found)
        judged = self._pending.judged_calls(state, it)
        calls = calls_of(session)
        found = [
            Target((call, turn, session), turn.trace_id, None, call.span_id)
            for call, turn in calls
            if (turn.trace_id.hex(), call.span_id.hex()) not in judged
        ]
        return found, len(calls) - len(found)

    def record(self, unit: Unit, it: Evaluator, target: Target, made: Evaluation) -> bool:
        """Keep a verdict; return False if what it is about was deleted meanwhile.

        Where a person has said something in the evaluator's place, it is kept, and does not count.
        """
        trace = target.trace_id
        has_seen = unit.seen if trace is None else unit.spans.get(trace, 0)
        verdict = replace(
            made,
            session_id=unit.session_id,
            trace_id=trace,
            root_id=target.root_id,
            span_id=target.span_id,
            version=it.version,
        )
        ids = ((it or b"").hex() for it in (trace, target.root_id, target.span_id))
        people = rows(self._tables, _PEOPLE, (unit.session_id, *ids, made.name))
        numbers = []
        if (seen := seen_beside(people, has_seen)) is not None:
            numbers = insert(self._tables, [row_on_engine(replace(verdict, seen=seen))])
        # Only now, as there are no transactions: whoever deletes the session deletes verdicts first
        # that are there, and this is one of those that are not.
        given = (session_part(unit.session_id), self._states[unit.session_id].batch)
        if rows(self._tables, _IS_THERE, given):
            return True
        with suppress(UnsupportedError):  # There, clew has not deleted the session, either.
            self._tables.delete(TABLE, "id", numbers)
        return False

    def record_error(self, unit: Unit, it: Evaluator, target: Target, error: str) -> None:
        """Keep that an evaluator has failed."""
        row = {
            "session_id": unit.session_id,
            "trace_id": target.trace_id and target.trace_id.hex(),
            "root_id": target.root_id and target.root_id.hex(),
            "span_id": target.span_id and target.span_id.hex(),
            "name": it.name,
            "version": it.version,
            "seen": unit.seen,
            "error": short_error(error),
            "made_ns": self._tables.now_ns(),
        }
        self._tables.insert("clew_evaluation_errors", [row])

    def finish(self, unit: Unit) -> None:
        """Give back what was claimed of a session."""
        if unit.session is not None and isinstance(unit.session.turns, SharedTurns):
            unit.session.turns.close()
        self._states.pop(unit.session_id, None)
        self._sessions.pop(unit.session_id, None)
        keys = _keys(unit.session_id, unit.names)
        self._in_hand.subtract(keys)
        done = [it for it in keys if self._in_hand[it] <= 0]
        for key in done:
            del self._in_hand[key]
        self.claims.release(done)


def _keys(session_id: str, names: Iterable[str]) -> list[Key]:
    hash_range = range_of(session_id)
    return [Key(hash_range, it) for it in names]
