"""Finds what is to be evaluated on an engine, by the rules of `pending`, from few plain queries.

How far a verdict had seen is there a number of spans: of all traces of the session, or for a turn
or a call, of its turns in the trace.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import randbelow
from typing import Any

from clew.core.errors import ConfigurationError
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.running.engine_claims import RANGES, range_of
from clew.evaluations.running.pending import (
    IN_ITS_PLACE,
    MOST_DOUBLINGS,
    RETRY_SECONDS,
    Candidate,
    Found,
    Pending,
    Wanted,
    search_of,
)
from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine, Window
from clew.sessions.engines.searching import find_sessions
from clew.sessions.scoring import SHOWN
from clew.sessions.store import SessionNotFoundError
from clew.store.encoding import is_utf8

_IDS_PER_QUERY = 500
_STANDS = 2**63
"""How far a person has seen, who says something in an evaluator's place."""
_SESSIONS = (
    "SELECT session_id, batch, first_ns, last_ns, last_span FROM session WHERE {of_sessions}"
)
_TURNS = f"""
SELECT session_id, trace_id, root_id, spans, model_calls + tool_calls + retrievals AS calls,
    {SHOWN} AS is_shown
FROM turn WHERE {{of_sessions}}
"""
_SAID = f"""
SELECT session_id, trace_id, root_id, span_id, name, annotator_kind, version, seen
FROM (
    SELECT
        evaluation.*,
        row_number() OVER (
            PARTITION BY
                session_id, coalesce(trace_id, ''), coalesce(root_id, ''), coalesce(span_id, ''),
                name, identifier
            ORDER BY seen DESC, made_ns DESC, id DESC
        ) AS place
    FROM evaluation WHERE name IN ({{names}}) AND {{of_sessions}}
) AS ranked
WHERE place = 1 AND (
    annotator_kind <> 'HUMAN' OR {IN_ITS_PLACE}
    AND (score IS NOT NULL OR label IS NOT NULL OR explanation IS NOT NULL)
)
"""
_ERRORS = """
SELECT session_id, name, version, seen, count(*) AS attempts, max(made_ns) AS last_ns
FROM clew_evaluation_errors WHERE name IN ({names}) AND {of_sessions}
GROUP BY session_id, trace_id, root_id, span_id, name, version, seen
"""
_Target = tuple[str | None, str | None, str | None]
"""Trace, root and span, in hexadecimal; what is missing is that of a greater target."""


@dataclass(slots=True)
class State:
    """What is known of a session, of what was said about it, and of what has failed."""

    session_id: str
    batch: int
    """Which summary of it that is."""
    first_ns: int
    last_ns: int
    last_span: int
    turns: list[tuple[str, str]] = field(default_factory=list)
    """Trace and root of those that are shown."""
    spans: Counter[str] = field(default_factory=Counter)
    """How many each trace has, in turns."""
    calls: Counter[str] = field(default_factory=Counter)
    said: dict[str, dict[_Target, int]] = field(default_factory=lambda: defaultdict(dict))
    """Of each evaluator, the targets of verdicts in its version, with how far it had seen."""
    failed: list[tuple[str, int, int]] = field(default_factory=list)
    """Which evaluator has failed in its present state, how often, and when the last time."""

    def is_in(self, window: Window) -> bool:
        """Whether the session was going on in the *window*."""
        since, until = window.since_ns, window.until_ns
        return (since is None or self.last_ns >= since) and (until is None or self.first_ns < until)

    def targets(self, it: Evaluator) -> int:
        """Return how many sessions, turns or calls there are to look at."""
        if it.level == "session":
            return 1
        return len(self.turns) if it.level == "turn" else sum(self.calls.values())

    def is_pending(self, it: Evaluator) -> bool:
        """Whether an evaluator has something to look at."""
        if it.level == "session":
            return self.said[it.name].get((None, None, None), -1) < self.last_span
        if it.level == "turn":
            return bool(self.pending_turns(it))
        judged = Counter(trace for trace, _ in self.judged_calls(it))
        return any(number > judged[trace] for trace, number in self.calls.items())

    def pending_turns(self, it: Evaluator) -> set[tuple[str, str]]:
        """Return trace and root of the turns that an evaluator has to look at."""
        said = self.said[it.name]
        return {
            (trace, root)
            for trace, root in self.turns
            if said.get((trace, root, None), -1) < self.spans[trace]
        }

    def judged_calls(self, it: Evaluator) -> set[tuple[str, str]]:
        """Return trace and span of the calls whose verdict is fresh."""
        return {
            (trace, span)
            for (trace, root, span), seen in self.said[it.name].items()
            if trace and span and root is None and seen >= self.spans[trace]
        }


class EnginePending:
    """Asks clew's tables on an engine what there is to do for the evaluators of a run."""

    def __init__(self, tables: Engine, pending: Pending) -> None:
        self._tables = tables
        self._pending = pending
        self._evaluators = {it.name: it for it in pending.evaluators}

    def find(self, wanted: Wanted, quiet_ns: int, now_ns: int, window: Window) -> Found:
        """Return the sessions with something to do that were going on in the *window*."""
        found = Found([], *(dict.fromkeys(self._evaluators, 0) for _ in "ab"))
        for state in self._states(None if wanted is None else self._ids(wanted)).values():
            names = set()
            if not state.is_in(window):
                continue
            for it in self._evaluators.values():
                if not self._is_pending(state, it, now_ns):
                    found.fresh[it.name] += state.targets(it)
                elif quiet_ns == 0 or state.last_ns + quiet_ns <= now_ns:
                    names.add(it.name)
                else:
                    found.waiting[it.name] += 1
            if names:
                found.candidates.append(Candidate(state.session_id, frozenset(names)))
        # By their ranges. Each process begins elsewhere, so that they seldom want the same.
        first = randbelow(RANGES)
        found.candidates.sort(key=lambda it: (range_of(it.session_id) - first) % RANGES)
        return found

    def still(
        self, candidates: Sequence[Candidate], since_ns: int, now_ns: int
    ) -> dict[str, tuple[frozenset[str], State]]:
        """Return for which of their evaluators there is still something to do in sessions.

        Where one has failed since then, in another process, it is left to the next run.
        """
        states = self._states([it.session_id for it in candidates])
        found = {}
        for candidate in candidates:
            if (state := states.get(candidate.session_id)) is None:
                continue
            failed = {name for name, _, last_ns in state.failed if last_ns >= since_ns}
            names = frozenset(
                name
                for name in candidate.names - failed
                if self._is_pending(state, self._evaluators[name], now_ns)
            )
            if names:
                found[candidate.session_id] = names, state
        return found

    def turns(self, state: State, it: Evaluator) -> set[tuple[str, str]]:
        """Return trace and root of the turns that an evaluator has to look at."""
        return set(state.turns) if self._pending.again else state.pending_turns(it)

    def judged_calls(self, state: State, it: Evaluator) -> set[tuple[str, str]]:
        """Return trace and span of the calls that an evaluator need not look at."""
        return set() if self._pending.again else state.judged_calls(it)

    def _is_pending(self, state: State, it: Evaluator, now_ns: int) -> bool:
        if self._pending.again:
            return True
        if not state.is_pending(it):
            return False
        return not self._pending.patient or not any(
            last_ns + (RETRY_SECONDS * 10**9 << min(attempts - 1, MOST_DOUBLINGS)) > now_ns
            for name, attempts, last_ns in state.failed
            if name == it.name
        )

    def _states(self, ids: Collection[str] | None) -> dict[str, State]:
        """Return what is known of these sessions, or of all."""
        states = {row[0]: State(*row) for row in self._rows(_SESSIONS, ids)}
        if any(it.level != "session" for it in self._evaluators.values()):
            for session, trace, root, spans, calls, is_shown in self._rows(_TURNS, ids):
                if (state := states.get(session)) is None:
                    continue
                state.spans[trace] += spans
                if is_shown:
                    state.turns.append((trace, root))
                    state.calls[trace] += calls
        for session, trace, root, span, name, kind, version, seen in self._rows(_SAID, ids):
            is_human = kind == "HUMAN"
            if session in states and (is_human or version == self._evaluators[name].version):
                said = states[session].said[name]
                target = (trace, root, span)
                said[target] = _STANDS if is_human else max(seen, said.get(target, 0))
        for session, name, version, seen, attempts, last_ns in self._rows(_ERRORS, ids):
            state = states.get(session)
            is_of_this = version == self._evaluators[name].version
            if state is not None and is_of_this and seen >= state.last_span:
                state.failed.append((name, attempts, last_ns))
        return states

    def _rows(self, query: str, ids: Collection[str] | None) -> Iterator[Sequence[Any]]:
        names = ", ".join("?" * len(self._evaluators))
        given = tuple(self._evaluators) if "{names}" in query else ()
        if ids is None:
            yield from rows(self._tables, query.format(names=names, of_sessions="1 = 1"), given)
            return
        every = list(dict.fromkeys(ids))
        for start in range(0, len(every), _IDS_PER_QUERY):
            some = every[start : start + _IDS_PER_QUERY]
            of_sessions = f"session_id IN ({', '.join('?' * len(some))})"
            filled = query.format(names=names, of_sessions=of_sessions)
            yield from rows(self._tables, filled, (*given, *some))

    def _ids(self, wanted: Wanted) -> list[str]:
        if isinstance(wanted, Mapping):
            found = find_sessions(self._tables, ("session_id",), search_of(wanted))
            return [session_id for (session_id,) in found]
        ids: list[Any] = [wanted] if isinstance(wanted, str) else list(wanted or ())
        for given in ids:
            if not isinstance(given, str):
                message = f"sessions={given!r:.80} must be ids of sessions, not {_kind(given)}"
                raise ConfigurationError(message)
        known = {row[0] for row in self._rows(_SESSIONS, [it for it in ids if is_utf8(it)])}
        for given in ids:
            if given not in known:
                message = f"there is no session {given!r} in the store"
                raise SessionNotFoundError(message)
        return ids


def _kind(given: object) -> str:
    return type(given).__name__
