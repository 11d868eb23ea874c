"""Faults that a test requests in advance: error answers, streams that break off, hanging calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.providers.exchange import Request

_TIMEOUT = 10.0
"""Seconds after which a release stops waiting for calls to continue."""


@dataclass
class Fault:
    """One requested fault; ``remaining`` counts down to zero.

    ``status`` None means to hang until the gate opens. A fault keeps the gate of the time it was
    ordered, so a request that has taken it cannot miss a release that comes just then.
    """

    status: int | None
    remaining: int
    path: str | None
    after_events: int | None
    gate: threading.Event

    def matches(self, path: str) -> bool:
        return self.path is None or self.path in path


class FaultPlan:
    """The faults still to come. Requests come from many threads, so taking one is atomic."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._gate = threading.Event()
        self._hanging = 0

    def add(
        self, status: int | None, times: int, path: str | None, after_events: int | None = None
    ) -> None:
        with self._changed:
            self._faults.append(Fault(status, times, path, after_events, self._gate))

    def take(self, request: Request, *, mid_stream: bool) -> Fault | None:
        """Remove and return the first fault for this path, before an answer or within a stream."""
        with self._changed:
            for fault in self._faults:
                if (fault.after_events is not None) == mid_stream and fault.matches(request.path):
                    fault.remaining -= 1
                    if fault.remaining <= 0:
                        self._faults.remove(fault)
                    self._hanging += fault.status is None
                    return fault
        return None

    @contextmanager
    def hanging(self, fault: Fault) -> Iterator[None]:
        """Wait until the fault is released; the release waits in turn until the block ends."""
        try:
            fault.gate.wait()
            yield
        finally:
            with self._changed:
                self._hanging -= 1
                self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._faults.clear()

    def release(self) -> None:
        """Let all hanging calls continue; no request hangs again until a new fault is added."""
        with self._changed:
            self._faults = [fault for fault in self._faults if fault.status is not None]
            self._gate.set()
            self._gate = threading.Event()
            self._changed.wait_for(lambda: self._hanging == 0, _TIMEOUT)
