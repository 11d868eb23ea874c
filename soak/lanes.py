"""Lanes: threads of a process that do one action after the other, and one that does them in tasks."""

import asyncio
import threading
import traceback
from time import monotonic
from typing import Any

from soak import ways
from soak.calls import CALLS, Provider
from soak.counts import Counts
from soak.model import Model
from soak.plan import Action, drawn

TASKS = 6
"""How many actions a lane does at the same time that does them in tasks."""


class Lane(threading.Thread):
    """A thread that does actions until its time is over."""

    table: dict[str, dict[str, Any]] = ways.IN_THREADS

    def __init__(self, number: int, port: int, model: Model, until: float) -> None:
        super().__init__(name=f"lane-{number}", daemon=True)
        self.provider = Provider(port)
        self.counts: Counts = model.counts
        self.model = model
        self.until = until
        self.number = number
        self.doing = ""
        """What is being done, for when nothing comes of it."""

    def prepare(self, seed: int, process: int, actions: int | None) -> None:
        """Say which actions are done, and how many; all that there is time for, with None."""
        calls = {
            framework: [name for name in sorted(named) if name.partition(" ")[0] in self.table]
            for framework, named in CALLS.items()
        }
        names = {kind: sorted(named) for kind, named in self.table.items()}
        self.actions = drawn(seed, process, self.number, calls, names)
        self.left = actions

    def next_action(self) -> ways.Doing | None:
        """Return the next action; None if the time is over."""
        if monotonic() > self.until or self.left == 0:
            return None
        if self.left is not None:
            self.left -= 1
        action = next(self.actions)
        call = CALLS[action.framework][action.name]
        return ways.Doing(action, call, self.provider, self.counts)

    def run(self) -> None:
        while doing := self.next_action():
            self.doing = str(doing.action)
            action, way = doing.action, self._way(doing.action)
            try:
                with self.model.action(action.key, calls=self.calls_a_model(action)):
                    way(doing)
            except Exception as error:
                self.failed(doing, error)
            doing.check_outside()
        self.doing = ""

    def _way(self, action: Action) -> Any:
        return self.table[action.name.partition(" ")[0]][action.way]

    @staticmethod
    def calls_a_model(action: Action) -> bool:
        """Whether it makes spans for certain."""
        return action.way not in {"outside", "in_a_generator", "abandoned", "closed"} and (
            action.name.startswith("call")
        )

    def failed(self, doing: ways.Doing, error: BaseException) -> None:
        """Count what was raised; where nothing was to go wrong, it is a fault."""
        if doing.action.fault not in {"fine", "slow", "stalls"}:
            self.counts.add("calls refused")
        elif doing.action.way in {"cancelled", "timed_out"}:
            self.counts.add("calls cancelled")
        else:
            where = traceback.format_exception(error)[-1].strip()
            self.counts.add("failed", f"{doing.action}: {where}\n{traceback.format_exc()}")


class AsyncLane(Lane):
    """A lane that does several actions at the same time, in tasks of one loop."""

    table = ways.IN_TASKS

    def run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(TASKS)))
        self.doing = ""

    async def _work(self) -> None:
        while doing := self.next_action():
            self.doing = str(doing.action)
            action, way = doing.action, self._way(doing.action)
            try:
                with self.model.action(action.key, calls=action.way == "in_to_thread"):
                    await way(doing)
            except (Exception, asyncio.CancelledError) as error:
                self.failed(doing, error)
            doing.check_outside()
