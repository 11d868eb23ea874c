"""Lanes: threads that do one action after the other, and one that does them in tasks."""

import asyncio
import traceback
from collections.abc import Iterator
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import attach, set_value

from soak import ways
from soak.calls import CALLS, Provider
from soak.plan import Action, Key, drawn

if TYPE_CHECKING:
    from soak.model import Model
    from soak.orders import Orders

TASKS = 6
"""How many actions a lane does at the same time that does them in tasks."""
_OF_WARMING_UP = 1_000_000
_SLOW_SECONDS = 30.0


class Lane:
    """Does actions in a thread until its time is over."""

    table: dict[str, dict[str, Any]] = ways.IN_THREADS

    def __init__(self, number: int, orders: "Orders", model: "Model") -> None:
        self.name = f"lane-{number}"
        self.number = number
        self.provider = Provider(orders.port)
        self.counts = model.counts
        self.model = model
        self._orders = orders
        self._until = 0.0
        self._actions: Iterator[Action] = iter(())
        self._calls = {
            framework: [name for name in sorted(named) if name.partition(" ")[0] in self.table]
            for framework, named in CALLS.items()
        }

    def warm_up(self) -> None:
        """Make each call once, in the first of its ways."""
        process, numbers = self._orders.number, iter(range(_OF_WARMING_UP, 2 * _OF_WARMING_UP))
        self._until = float("inf")
        self._actions = (
            Action(Key(process, self.number, next(numbers)), framework, name, way, "fine", 0.3)
            for framework, names in self._calls.items()
            for name in names
            for way in list(self.table[name.partition(" ")[0]])[:1]
        )

    def begin(self, until: float) -> None:
        """Do the actions that were drawn from the seed, until then."""
        names = {kind: sorted(named) for kind, named in self.table.items()}
        orders = self._orders
        self._until = until
        actions = drawn(orders.seed, orders.number, self.number, self._calls, names)
        self._actions = islice(actions, orders.actions)

    def rest(self) -> None:
        """Close the clients, so that what is open then can be compared."""
        self.provider.close()

    def close(self) -> None:
        """Let go of all that is kept open."""

    def next_action(self) -> ways.Doing | None:
        """Return the next action; None if the time is over."""
        if monotonic() > self._until or (action := next(self._actions, None)) is None:
            return None
        call = CALLS[action.framework][action.name]
        return ways.Doing(action, call, self.provider, self.counts)

    def run(self) -> None:
        """Do one action after the other."""
        while doing := self.next_action():
            action, begun = doing.action, monotonic()
            try:
                with self.model.action(action.key, calls=self.calls_a_model(action)):
                    self._way(action)(doing)
            except Exception as error:
                self.failed(doing, error)
            self.finish(doing, monotonic() - begun)

    def finish(self, doing: ways.Doing, seconds: float) -> None:
        """See what an action has left behind."""
        if seconds > _SLOW_SECONDS:
            self.counts.add("slow", f"{doing.action}: {seconds:.1f} s")
        number = doing.action.key.number
        if self._orders.defect == "leak" and number == 1:
            attach(set_value("session.id", "leaked"))
        if self._orders.defect == "unended" and number == 1:
            asked = {"asked": doing.action.question()}
            self.kept = trace.get_tracer("soak").start_span("never ended", attributes=asked)
        doing.check_outside()

    def _way(self, action: Action) -> Any:
        return self.table[action.name.partition(" ")[0]][action.way]

    @staticmethod
    def calls_a_model(action: Action) -> bool:
        """Whether it makes spans for certain."""
        return action.way not in {"outside", "in_a_generator"} and action.name.startswith("call ")

    def failed(self, doing: ways.Doing, error: BaseException) -> None:
        """Count what was raised; where nothing was to go wrong, it is a fault."""
        if doing.action.fault not in {"fine", "slow", "stalls"}:
            self.counts.add("calls refused")
        elif doing.action.way in {"cancelled", "timed_out"}:
            self.counts.add("calls cancelled")
        else:
            where = "".join(traceback.format_exception(error))
            self.counts.add("failed", f"{doing.action}: {type(error).__name__}: {error}\n{where}")


class AsyncLane(Lane):
    """Does several actions at the same time, in tasks of one loop."""

    table = ways.IN_TASKS

    def __init__(self, number: int, orders: "Orders", model: "Model") -> None:
        super().__init__(number, orders, model)
        self._runner = asyncio.Runner()

    def run(self) -> None:
        """Do actions in tasks. The loop stays the same, as some SDKs keep a client for it."""
        self._runner.run(self._main())

    def rest(self) -> None:
        """Close the clients."""
        self._runner.run(self.provider.aclose())
        super().rest()

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()

    async def _main(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(TASKS)))

    async def _work(self) -> None:
        while doing := self.next_action():
            action, begun = doing.action, monotonic()
            try:
                is_left = action.way in {"cancelled", "timed_out", "aabandoned"}
                calls = action.way == "in_to_thread"
                with self.model.action(action.key, calls=calls, is_left=is_left):
                    # A task group of an abandoned stream may cancel the task that it was made in.
                    await asyncio.create_task(self._way(action)(doing))
            except (Exception, asyncio.CancelledError) as error:
                self.failed(doing, error)
            self.finish(doing, monotonic() - begun)
