"""`stats()`: what became of the spans, and what clew refused or failed at, in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clew.core import counters
from clew.core.containment import CONTAINED
from clew.export.queue import lanes


@dataclass(frozen=True)
class Delivered:
    """What one exporter was given."""

    exporter: str
    exported: int
    waiting: int
    dropped: Mapping[str, int]
    """How many spans were lost, by reason."""


@dataclass(frozen=True)
class Stats:
    """What happened in this process until now, since it began or was forked.

    With several exporters, each span counts once for each of them.
    """

    exporters: tuple[Delivered, ...]
    """Those of the tracer provider that clew made. One of the application's own is not watched."""
    errors: Mapping[str, int]
    """Failures of clew's own that were kept from the application, by what it was doing."""
    refused: Mapping[str, int]
    """What was not used, such as ids from outside that cannot be."""

    @property
    def counts_exports(self) -> bool:
        """Whether anything was there to count; if not, 0 means that clew cannot know."""
        return bool(self.exporters)

    @property
    def exported(self) -> int:
        """How many spans arrived."""
        return sum(it.exported for it in self.exporters)

    @property
    def waiting(self) -> int:
        """How many spans are still to be exported."""
        return sum(it.waiting for it in self.exporters)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many spans were lost, by reason."""
        found = Counter[str]()
        for it in self.exporters:
            found.update(it.dropped)
        return MappingProxyType(dict(found))

    def __str__(self) -> str:
        lines = [f"spans exported: {self.exported}", f"spans waiting: {self.waiting}"]
        if not self.counts_exports:
            lines = ["spans exported: not known, as no exporter of clew's own is in use"]
        lines += [f"spans dropped, {why}: {spans}" for why, spans in self.dropped.items()]
        lines += [f"{CONTAINED}{where}: {times}" for where, times in self.errors.items()]
        lines += [f"{what}: {times}" for what, times in self.refused.items()]
        return "\n".join(lines)


def stats() -> Stats:
    """Return what became of this process's spans so far, and what clew refused or failed at.

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
    found = []
    for lane in lanes():
        exported, waiting, dropped = lane.counted()
        found.append(Delivered(lane.name, exported, waiting, MappingProxyType(dict(dropped))))
    return sorted(found, key=lambda it: it.exporter)
