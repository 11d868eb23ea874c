"""Watch: evaluates once, or again and again as conversations go on, until it is told to stop."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from clew.evaluations.evaluators import Evaluator
from clew.evaluations.running.budget import Budget
from clew.evaluations.running.pace import Pace, happens_within
from clew.evaluations.running.pending import Pending, Wanted
from clew.evaluations.running.places import last_span, opener
from clew.evaluations.running.runs import Figures, ProgressCallback, Run
from clew.evaluations.running.work import Limits, Work
from clew.store.database import StoreError, is_busy

if TYPE_CHECKING:
    from clew.evaluations.running.places import Place

logger = logging.getLogger("clew")

_LEAST_SECONDS, _MOST_SECONDS = 0.5, 5.0
"""Between two looks at whether there is something new."""
_LOOKS_ANYWAY = 60.0
"""After how many seconds it is looked at everything, whether or not there are new spans."""


class Watch:
    """The passes over a store for the same evaluators, which have a budget and a pace in common."""

    def __init__(
        self,
        place: "Place",
        evaluators: Iterable[Evaluator],
        limits: Limits,
        *,
        sessions: Wanted = None,
        quiet_ns: int = 0,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._place = place
        self._open = opener(place)
        self._evaluators = tuple(evaluators)
        self._limits = limits
        self._sessions = sessions if isinstance(sessions, Mapping | None) else tuple(sessions)
        self._quiet_ns = quiet_ns
        self._progress = progress
        self._budget = Budget(limits.max_cost)
        self._pace = Pace(limits.rate)
        self._stopped = asyncio.Event()
        self._work: Work | None = None
        self._is_held = self._has_warned = False
        self.run = Run({it.name: Figures() for it in self._evaluators})
        """What came of all passes."""

    def stop(self, reason: str) -> None:
        """Begin nothing more, and end when what has begun is finished."""
        self.run.stopped = self.run.stopped or reason
        self._stopped.set()
        if self._work is not None:
            self._work.stop(reason)

    async def once(self, *, again: bool = False, patient: bool = False) -> Run:
        """Do what there is to do now; return what came of it, which is added to `run`, too.

        If it is *patient*, what has failed lately, and what others evaluate, is left for later.
        """
        pending = Pending(self._evaluators, again=again, patient=patient)
        self._work = Work(
            self._evaluators,
            self._limits,
            progress=self._progress,
            budget=self._budget,
            pace=self._pace,
            waits=not patient,
        )
        if self._stopped.is_set():
            self._work.stop(self.run.stopped)
        try:
            return await self._work.work_off(
                lambda: self._open(pending), self._sessions, self._quiet_ns
            )
        finally:
            self.run.add(self._work.run)
            if self._work.run.stopped:
                self._stopped.set()
            self._is_held = bool(self._work.elsewhere)
            self._work = None

    async def _look(self) -> Run | None:
        """Do what there is to do now; None if another process has been using the store for long."""
        try:
            run = await self.once(patient=True)
        except (sqlite3.OperationalError, StoreError) as error:
            if not is_busy(error):
                raise
            if not self._has_warned:
                logger.warning("clew: the store cannot be used now, and is tried again: %s", error)
            self._has_warned = True
            return None
        self._has_warned = False
        return run

    async def until_stopped(
        self, told: Callable[[Run], Any], waits: Callable[[], Any] = lambda: None
    ) -> None:
        """Look again whenever there may be something to do; what comes of a look is *told*.

        What has failed is tried again after a minute, then after two, four, and so on. Where there
        is no store yet, *waits* is called once.
        """
        pause = min(max(self._quiet_ns / 1e10, _LEAST_SECONDS), _MOST_SECONDS)
        if not isinstance(self._place, Path):
            pause = _LOOKS_ANYWAY  # To find out what is new on an engine is work for it.
        seen, look_anyway, is_waiting, has_said = -1, 0.0, False, False
        while not self._stopped.is_set():
            last = await asyncio.to_thread(last_span, self._place)
            if last is None and not has_said:
                waits()
                has_said = True
            if last is not None and (is_waiting or last != seen or monotonic() > look_anyway):
                run = await self._look()
                seen, is_waiting = last, run is None or run.waiting > 0 or self._is_held
                look_anyway = monotonic() + _LOOKS_ANYWAY
                if run is not None and (run.made or run.unknown or run.failed):
                    told(run)
            if not self._stopped.is_set():
                await happens_within(self._stopped, pause)
