"""`stats()`: how many spans were exported or dropped, and what clew refused or failed at."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clew.core import counters
from clew.core.containment import CONTAINED


@dataclass(frozen=True)
class Delivered:
    """The numbers of one exporter."""

    exporter: str
    exported: int
    waiting: int
    dropped: Mapping[str, int]
    """How many spans were lost, by reason."""


@dataclass(frozen=True)
class Stats:
    """Numbers of this process until now, since it started or was forked.

    With several exporters, each span counts once for each of them.
    """

    exporters: tuple[Delivered, ...]
    """Those of the tracer provider that clew made. The application's own are not counted."""
    errors: Mapping[str, int]
    """How often clew itself failed, by what it was doing. The application was not affected."""
    refused: Mapping[str, int]
    """What was not used, such as invalid ids from outside, by its kind."""

    @property
    def counts_exports(self) -> bool:
        """Whether clew counts exports; if not, `exported` is 0 because clew cannot know."""
        return bool(self.exporters)

    @property
    def exported(self) -> int:
        """How many spans were exported."""
        return sum(exporter.exported for exporter in self.exporters)

    @property
    def waiting(self) -> int:
        """How many spans are still to be exported."""
        return sum(exporter.waiting for exporter in self.exporters)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many spans were lost, by reason."""
        dropped = Counter[str]()
        for exporter in self.exporters:
            dropped.update(exporter.dropped)
        return MappingProxyType(dict(dropped))

    def __str__(self) -> str:
        lines = [f"spans exported: {self.exported}", f"spans waiting: {self.waiting}"]
        if not self.counts_exports:
            lines = ["spans exported: not known, as no exporter of clew's own is in use"]
        lines += [f"spans dropped, {reason}: {spans}" for reason, spans in self.dropped.items()]
        lines += [f"{CONTAINED}{doing}: {times}" for doing, times in self.errors.items()]
        lines += [f"{what}: {times}" for what, times in self.refused.items()]
        return "\n".join(lines)


def stats() -> Stats:
    """Return how many of this process's spans were exported or dropped, and other counts of clew's.

    >>> print(stats())  # doctest: +SKIP
    spans exported: 412
    spans waiting: 3
    spans dropped, queue full: 18
    """
    counted = counters.counted()
    errors = {
        what.removeprefix(CONTAINED): times
        for what, times in counted.items()
        if what.startswith(CONTAINED)
    }
    refused = {what: times for what, times in counted.items() if not what.startswith(CONTAINED)}
    return Stats(tuple(_delivered()), MappingProxyType(errors), MappingProxyType(refused))


def _delivered() -> list[Delivered]:
    # Where it is not imported there are no queues; and it needs the SDK, which may not be usable.
    queues: Any = sys.modules.get("clew.export.queue")
    delivered = []
    for queue in queues.exporter_queues() if queues else ():
        exported, waiting, dropped = queue.counted()
        numbers = Delivered(queue.name, exported, waiting, MappingProxyType(dict(dropped)))
        delivered.append(numbers)
    return sorted(delivered, key=lambda numbers: numbers.exporter)
