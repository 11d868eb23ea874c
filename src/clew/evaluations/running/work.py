"""Work: does what there is to do for a run, several calls of evaluators at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TypeVar

from clew.core.errors import EvaluationError
from clew.core.wording import error_text
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.evaluators import Evaluator
from clew.evaluations.judging.models import JudgeError
from clew.evaluations.running.budget import Budget
from clew.evaluations.running.pace import Pace, delay, happens_within, told_to_wait
from clew.evaluations.running.pending import Candidate, Wanted
from clew.evaluations.running.runs import Failure, Figures, Progress, ProgressCallback, Run
from clew.evaluations.running.units import RunPlace, Target, Unit
from clew.store.database import is_busy

logger = logging.getLogger("clew")

T = TypeVar("T")
UNKNOWN = "unknown"
"""The label of a verdict where an evaluator could not know."""
_CLAIMED_AT_ONCE = 16
_SECONDS_BETWEEN_LOOKS = 0.2
_PATIENCE = 300.0
"""For how many seconds a session that another process evaluates is waited for, if nothing comes of
it."""

_BUSY_PATIENCE = 300.0
"""For how many seconds a store that others are using is tried again, for what was paid for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a run may go, and what it may cost."""

    concurrency: int = 8
    rate: float | None = None
    retries: int = 2
    max_cost: float | None = None


class _StoppedError(Exception):
    """The run was stopped before a call began, or was tried again."""


class _StoreFailedError(Exception):
    """The store failed, for a reason that the run raises when what has begun is finished."""


class Work:
    """One run: what is pending is claimed, judged and recorded, until nothing is left."""

    def __init__(
        self,
        evaluators: Iterable[Evaluator],
        limits: Limits,
        *,
        progress: ProgressCallback | None = None,
        budget: Budget | None = None,
        pace: Pace | None = None,
        waits: bool = True,
    ) -> None:
        """Have something to do; unless it *waits*, what others evaluate is left in `elsewhere`."""
        self._evaluators = {it.name: it for it in evaluators}
        self._limits = limits
        self._progress = progress
        self._budget = Budget(limits.max_cost) if budget is None else budget
        self._pace = Pace(limits.rate) if pace is None else pace
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._waits = waits
        self._stopping = asyncio.Event()
        self._exhausted = set[str]()
        self._thread = ThreadPoolExecutor(1, "clew-evaluations")
        self._claiming = asyncio.Lock()
        self._candidates = deque[Candidate]()
        self._claimed = deque[Unit]()
        self.elsewhere = list[Candidate]()
        self._done = self._total = 0
        self._trouble: Exception | None = None
        self._has_warned = False
        self.run = Run({name: Figures() for name in self._evaluators})

    def stop(self, reason: str) -> None:
        """Begin nothing more. What has begun is finished and kept."""
        if not self._stopping.is_set():
            self.run.stopped = reason
            self._stopping.set()

    async def work_off(
        self, open_store: Callable[[], RunPlace], wanted: Wanted, quiet_ns: int
    ) -> Run:
        """Do what there is to do in the sessions that are *wanted*; return what came of it."""
        try:
            self._store = await self._in_thread(open_store)
            try:
                found = await self._in_thread(lambda: self._store.find(wanted, quiet_ns))
                for name, figures in self.run.of.items():
                    figures.fresh += found.fresh[name]
                    figures.waiting += found.waiting[name]
                self._candidates.extend(found.candidates)
                self._total = len(found.candidates)
                with suppress(_StoreFailedError):
                    while self._candidates and not self._stopping.is_set():
                        await self._work_off_candidates()
                        self._candidates.extend(await self._left_by_others())
            finally:
                self._thread.submit(self._store.close).result()
        finally:
            self._thread.shutdown()
        if self._trouble is not None:
            raise self._trouble
        return self.run

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _in_store(self, function: Callable[[], T], *, is_paid: bool = False) -> T:
        """Use the store, again and again while others do; if it fails, begin nothing more.

        What *is_paid* for is tried again although the run is stopped.
        """
        until = monotonic() + _BUSY_PATIENCE
        while True:
            try:
                return await self._in_thread(function)
            except Exception as error:
                waits = self._trouble is None and (is_paid or not self._stopping.is_set())
                if not (waits and is_busy(error) and monotonic() < until):
                    if is_paid or not self._stopping.is_set():
                        self._trouble = self._trouble or error
                    self._stopping.set()
                    raise _StoreFailedError from error
                if not self._has_warned:
                    logger.warning("clew: verdicts are kept when the store can be used: %s", error)
                self._has_warned = True
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _work_off_candidates(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limits.concurrency, len(self._candidates))):
                    group.create_task(self._work())
        except BaseExceptionGroup as errors:  # The first one is why the others ended.
            raise errors.exceptions[0] from None

    async def _work(self) -> None:
        with suppress(_StoreFailedError):
            while (unit := await self._next()) is not None:
                await self._judge(unit)
                self._done += 1
                self._tell()

    async def _next(self) -> Unit | None:
        """Return the next session that is ours; None if there is none, or the run is stopped."""
        async with self._claiming:
            while not self._claimed and self._candidates and not self._stopping.is_set():
                number = min(_CLAIMED_AT_ONCE, self._limits.concurrency, len(self._candidates))
                batch = [self._candidates.popleft() for _ in range(number)]
                wanted = [
                    Candidate(it.session_id, names)
                    for it in batch
                    if (names := it.names - self._exhausted)
                ]
                units, elsewhere = await self._in_store(partial(self._store.claim, wanted))
                self._claimed.extend(units)
                self.elsewhere.extend(elsewhere)
                self._done += len(batch) - len(units)
            if self._stopping.is_set() or not self._claimed:
                return None
            return self._claimed.popleft()

    async def _judge(self, unit: Unit) -> None:
        """Let each evaluator say something about a session, its turns or its calls."""
        try:
            if not await self._in_store(lambda: self._store.read(unit)):
                self.elsewhere.append(Candidate(unit.session_id, unit.names))
                return
            found = list[tuple[Evaluator, Target]]()
            for name in unit.names:
                it = self._evaluators[name]
                targets, fresh = await self._in_store(partial(self._store.targets, unit, it))
                self.run.of[name].fresh += fresh
                found.extend((it, target) for target in targets)
            async with asyncio.TaskGroup() as group:
                for it, target in found:
                    group.create_task(self._judge_target(unit, it, target))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._in_store(lambda: self._store.finish(unit))

    async def _judge_target(self, unit: Unit, it: Evaluator, target: Target) -> None:
        async with self._slots:
            if self._stopping.is_set() or it.name in self._exhausted:
                return
            if not await self._budget.admit(it.name, is_function=it.kind == "CODE"):
                self._exhaust(it.name)
                return
            cost: float | None = None
            try:
                made = await self._called(it, target)
                cost = self._cost(it, made)
            except _StoppedError:
                return
            except Exception as error:
                cost = self._cost_of_error(it, error)
                await self._failed(unit, it, target, error)
                return
            finally:
                await self._budget.settle(it.name, cost)
            try:
                await self._keep(unit, it, target, made)
            except _StoreFailedError as error:
                self._add_failure(unit, it, target, f"cannot be kept: {error.__cause__}")

    async def _called(self, it: Evaluator, target: Target) -> Evaluation | None:
        """Call an evaluator, again if it fails for a reason that may pass."""
        attempt = 1
        while True:
            await self._pace.wait(self._stopping)
            if self._stopping.is_set():
                raise _StoppedError
            try:
                return await _answer(it, target)
            except Exception as error:
                seconds = delay(error, attempt) if attempt <= self._limits.retries else None
                if seconds is None:
                    raise
                self._pace.hold(told_to_wait(error))
            attempt += 1
            await happens_within(self._stopping, seconds)

    async def _keep(
        self, unit: Unit, it: Evaluator, target: Target, made: Evaluation | None
    ) -> None:
        verdict = made or Evaluation(it.name, label=UNKNOWN, annotator_kind=it.kind)
        record = partial(self._store.record, unit, it, target, verdict)
        if await self._in_store(record, is_paid=True):
            figures = self.run.of[it.name]
            if verdict.label == UNKNOWN and verdict.score is None:
                figures.unknown += 1
            else:
                figures.made += 1
        else:  # A part of what it has seen was deleted. If the rest is there, it looks again.
            self.elsewhere.append(Candidate(unit.session_id, frozenset({it.name})))
        self._tell()

    async def _failed(self, unit: Unit, it: Evaluator, target: Target, error: Exception) -> None:
        told = error_text(error)
        record = partial(self._store.record_error, unit, it, target, told)
        with suppress(_StoreFailedError):  # It is tried again in the next run, at the latest.
            await self._in_store(record, is_paid=True)
        self._add_failure(unit, it, target, told)

    def _add_failure(self, unit: Unit, it: Evaluator, target: Target, told: str) -> None:
        span = target.span_id or target.root_id
        self.run.add_failure(Failure(it.name, unit.session_id, target.trace_id, span, told))
        self._tell()

    def _cost(self, it: Evaluator, made: Evaluation | None) -> float | None:
        """Return what a call has cost; None if that says nothing about what the next one costs."""
        if made is None:  # A judge need not have asked its model.
            return None if it.kind == "LLM" else 0.0
        cost = _dollars(made.metadata.get("cost"))
        self.run.of[it.name].cost += cost or 0.0
        if cost is None and it.kind == "LLM":
            self._cannot_keep_cost(it, "in metadata['cost']")
        return cost or 0.0

    def _cost_of_error(self, it: Evaluator, error: Exception) -> float | None:
        """Return what a call that failed has cost, as far as that is known."""
        cost = _dollars(getattr(error, "cost", None))
        self.run.of[it.name].cost += cost or 0.0
        if cost is None and it.kind == "LLM" and isinstance(error, JudgeError):
            self._cannot_keep_cost(it, "where its answer cannot be used")
        return cost

    def _cannot_keep_cost(self, it: Evaluator, where: str) -> None:
        if self._budget.most is not None:
            self.stop(
                f"max_cost cannot be kept: evaluator {it.name!r} asks a model, and does not say "
                f"what that costs, {where}"
            )

    def _exhaust(self, name: str) -> None:
        self._exhausted.add(name)
        spent, most = self._budget.spent, self._budget.most
        self.run.stopped = f"max_cost={most:g} is reached: {spent:.4g} was spent"
        if self._exhausted == self._evaluators.keys():
            self._stopping.set()

    async def _left_by_others(self) -> list[Candidate]:
        """Wait for the sessions that others evaluate; return in which there is something to do.

        A run that does not wait looks once: what it has to look at again is not held by others.
        """
        until = monotonic() + _PATIENCE
        while self.elsewhere and not self._stopping.is_set():
            self.elsewhere = _merged(self.elsewhere)
            before = len(self.elsewhere)
            free, held = await self._in_store(lambda: self._store.left_by_others(self.elsewhere))
            self.elsewhere = held
            if free or not self._waits:
                return free
            if len(held) < before:
                until = monotonic() + _PATIENCE
            elif monotonic() > until:
                self.stop(f"another process does not finish {held[0].session_id!r}")
            elif held:
                await happens_within(self._stopping, _SECONDS_BETWEEN_LOOKS)
        return []

    def _tell(self) -> None:
        if self._progress is not None:
            run = self.run
            done = min(self._done, self._total)
            self._progress(Progress(done, self._total, run.made, run.failed, run.cost))


async def _answer(it: Evaluator, target: Target) -> Evaluation | None:
    """Call an evaluator once; what would end more than the call is an error as any other."""
    try:
        return await it(*target.subject)
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise
        message = f"evaluator {it.name!r} was cancelled, and not by the run"
        raise EvaluationError(message) from error
    except BaseException as error:  # As sys.exit, click, argparse and pytest.skip raise them.
        message = f"evaluator {it.name!r} raised {error_text(error)}"
        raise EvaluationError(message) from error


def _merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return each session once: of several calls of one, each may have found a part deleted."""
    names = dict[str, frozenset[str]]()
    for it in candidates:
        names[it.session_id] = names.get(it.session_id, frozenset()) | it.names
    return [Candidate(*it) for it in names.items()]


def _dollars(cost: object) -> float | None:
    return float(cost) if isinstance(cost, int | float) and cost >= 0 else None
