"""What a run works on: a session that it has claimed, its targets, and where they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple, Protocol

from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.running.pending import JUDGED_CALLS, Candidate, Found, Wanted
from clew.sessions.model import Call, Turn
from clew.sessions.session import Session
from clew.store.fork_guard import no_fork

_MAX_ERROR = 2000
"""How many characters of an error are kept."""


class Target(NamedTuple):
    """What an evaluator is called with, and what its verdict is about."""

    subject: tuple[Any, ...]
    """A session; a turn and its session; or a call, its turn and its session."""
    trace_id: bytes | None = None
    root_id: bytes | None = None
    span_id: bytes | None = None


@dataclass(slots=True)
class Unit:
    """A session that this run has claimed for some of its evaluators."""

    session_id: str
    names: frozenset[str]
    seen: int = 0
    """Up to which span the store was summarised before the session was read."""
    spans: Mapping[bytes, int] = field(default_factory=dict)
    """How many spans up to that one were in each of its traces."""
    session: Session | None = None


class SharedTurns(Sequence[Turn]):
    """The turns of a session, read once for all its evaluators, when the first one asks."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._lock = Lock()
        self._closed = False

    def __len__(self) -> int:
        return len(self._turns)

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __repr__(self) -> str:
        return f"<{len(self)} turns>"

    def _all(self) -> Sequence[Turn]:
        with no_fork(), self._lock:  # A fork that waits for others must not keep the lock.
            if not isinstance(self._turns, tuple):
                if self._closed:
                    message = "the turns of a session can be read while it is evaluated, not after"
                    raise RuntimeError(message)
                self._turns = tuple(self._turns)
            return self._turns

    @property
    def read(self) -> Sequence[Turn]:
        """The turns, if they were read."""
        return self._turns if isinstance(self._turns, tuple) else ()

    def close(self) -> None:
        """Read no more, and wait until nobody is reading."""
        with self._lock:
            self._closed = True


class RunPlace(Protocol):
    """Where a run finds sessions, claims them, and keeps what is said; it is used in one thread."""

    def find(self, wanted: Wanted, quiet_ns: int) -> Found:
        """Return what there is to do in the sessions that are *wanted*."""

    def claim(self, candidates: Iterable[Candidate]) -> tuple[list[Unit], list[Candidate]]:
        """Claim sessions; return those that are ours now, and those that others evaluate."""

    def left_by_others(
        self, candidates: Iterable[Candidate]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Return in which of these there is something to do, and which others still evaluate."""

    def read(self, unit: Unit) -> bool:
        """Read the session of a unit; return whether it is still there, and ours."""

    def targets(self, unit: Unit, it: Evaluator) -> tuple[list[Target], int]:
        """Return what an evaluator has to look at, and how many turns or calls it need not."""

    def record(self, unit: Unit, it: Evaluator, target: Target, made: Evaluation) -> bool:
        """Keep a verdict; return False if what it is about was deleted meanwhile."""

    def record_error(self, unit: Unit, it: Evaluator, target: Target, error: str) -> None:
        """Keep that an evaluator has failed."""

    def finish(self, unit: Unit) -> None:
        """Give back what was claimed of a session."""

    def close(self) -> None:
        """Give back all that is claimed."""


def calls_of(session: Session) -> list[tuple[Call, Turn]]:
    """Return the calls of a session that evaluators are given, each with its turn."""
    return [
        (call, turn) for turn in session.turns for call in turn.calls if call.kind in JUDGED_CALLS
    ]


def short_error(error: str) -> str:
    """Return an error as it is kept."""
    return error[:_MAX_ERROR].encode("utf-8", "replace").decode()
