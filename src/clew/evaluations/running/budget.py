"""Budget: stops a run before it costs more than it may."""

import asyncio
from collections import defaultdict

_ROUNDING = 1e-12


class Budget:
    """Counts what calls of evaluators cost, and says whether another one may be made.

    What a call that is on its way will cost is taken to be the mean of those before it. So that
    this is known, the first call of each evaluator is waited for. A plain function is called once
    even when nothing is left: most cost nothing.
    """

    def __init__(self, most: float | None) -> None:
        self.most = most
        self.spent = 0.0
        self._cost: defaultdict[str, float] = defaultdict(float)
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._on_their_way: defaultdict[str, int] = defaultdict(int)
        self._changed = asyncio.Condition()

    async def admit(self, name: str, *, is_function: bool = False) -> bool:
        """Wait until another call of the evaluator *name* may be made; False if none may any more.

        Of each call that is admitted, `settle` has to be told what it has cost.
        """
        async with self._changed:
            while not self._is_free(name) and self._is_tight(name):
                if is_function and self._mean(name) is None:
                    if not self._on_their_way[name]:
                        break
                elif self._is_spent(name):
                    return False
                await self._changed.wait()
            self._on_their_way[name] += 1
            return True

    async def settle(self, name: str, cost: float | None) -> None:
        """Say what a call that was admitted has cost; None if it failed, and that is not known."""
        self._on_their_way[name] -= 1
        if cost is not None:
            self.spent += cost
            self._cost[name] += cost
            self._calls[name] += 1
        async with self._changed:
            self._changed.notify_all()

    def _mean(self, name: str) -> float | None:
        calls = self._calls[name]
        return self._cost[name] / calls if calls else None

    def _is_free(self, name: str) -> bool:
        return self.most is None or self._mean(name) == 0.0

    def _is_spent(self, name: str) -> bool:
        """Whether another call would cost too much, whatever becomes of those on their way."""
        left = (self.most or 0.0) - self.spent + _ROUNDING
        mean = self._mean(name)
        return left <= _ROUNDING if mean is None else left < mean

    def _is_tight(self, name: str) -> bool:
        """Whether another call may cost too much, together with those on their way."""
        mean = self._mean(name)
        if mean is None and self._on_their_way[name]:
            return True
        expected = sum(n * (self._mean(it) or 0.0) for it, n in self._on_their_way.items())
        left = (self.most or 0.0) - self.spent - expected + _ROUNDING
        return left <= _ROUNDING if mean is None else left < mean
