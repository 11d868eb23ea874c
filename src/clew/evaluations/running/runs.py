"""Run: what came of evaluating, for each evaluator and in all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_MOST_FAILURES = 1000
"""How many failures are described; all of them are counted."""


@dataclass(slots=True)
class Figures:
    """What came of one evaluator."""

    made: int = 0
    """Verdicts."""
    unknown: int = 0
    """Sessions, turns or calls of which it cannot be known. That is kept, and not asked again."""
    failed: int = 0
    """Those for which it failed. The next run tries them again."""
    fresh: int = 0
    """Those that were skipped, as nothing has changed since the last verdict."""
    waiting: int = 0
    """Sessions that are not quiet yet."""
    cost: float = 0.0
    """What it said that it has cost, in US dollars."""


class Failure(NamedTuple):
    """Where an evaluator failed, and why."""

    name: str
    """The evaluator."""
    session_id: str
    trace_id: bytes | None
    span_id: bytes | None
    """The root of the turn, or the span of the call."""
    error: str


class Progress(NamedTuple):
    """How far a run is."""

    done: int
    """Sessions that are finished with."""
    total: int
    """Sessions in which there was something to do."""
    made: int
    failed: int
    cost: float


ProgressCallback = Callable[[Progress], object]


@dataclass(slots=True)
class Run:
    """What came of a run of evaluators.

    Each session, turn or call that an evaluator had to look at is counted once: as `made`,
    `unknown`, `failed` or `fresh`; what was not reached because the run `stopped` is not counted.
    """

    of: Mapping[str, Figures]
    """The figures of each evaluator, by its name."""
    stopped: str = ""
    """Why it ended before everything was done; empty if it did not."""
    failures: list[Failure] = field(default_factory=list)
    """The first thousand of those that failed."""

    @property
    def made(self) -> int:
        """How many verdicts were made."""
        return sum(it.made for it in self.of.values())

    @property
    def unknown(self) -> int:
        """How often the answer cannot be known."""
        return sum(it.unknown for it in self.of.values())

    @property
    def failed(self) -> int:
        """How often an evaluator failed."""
        return sum(it.failed for it in self.of.values())

    @property
    def fresh(self) -> int:
        """How many were skipped, as nothing has changed since their last verdict."""
        return sum(it.fresh for it in self.of.values())

    @property
    def waiting(self) -> int:
        """How many sessions were left for later, as they are not quiet yet."""
        return sum(it.waiting for it in self.of.values())

    @property
    def cost(self) -> float:
        """What all of it has cost, in US dollars, as far as evaluators said so."""
        return sum(it.cost for it in self.of.values())

    def __repr__(self) -> str:
        counted = ", ".join(
            f"{getattr(self, name):,} {name}" for name in ("made", "unknown", "failed", "fresh")
        )
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        return f"<Run: {counted}, ${self.cost:.4f}{stopped}>"

    def add(self, later: "Run") -> None:
        """Add what came of a later run of the same evaluators."""
        for name, figures in later.of.items():
            mine = self.of[name]
            for counted in ("made", "unknown", "failed", "cost"):
                setattr(mine, counted, getattr(mine, counted) + getattr(figures, counted))
            mine.fresh, mine.waiting = figures.fresh, figures.waiting
        self.failures += later.failures[: _MOST_FAILURES - len(self.failures)]
        self.stopped = self.stopped or later.stopped

    def add_failure(self, failure: Failure) -> None:
        """Count a failure, and keep it if there are not too many."""
        self.of[failure.name].failed += 1
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(failure)
