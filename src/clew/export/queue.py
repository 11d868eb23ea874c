"""A lane: one exporter, the queue before it, and the thread that empties the queue.

Who ends a span appends it to the queue, and goes on, without a lock. Only a span that is dropped
takes one, to be counted: a reentrant one, held for an addition at a time, since a span may be ended
by the garbage collector, in the middle of anything, also of what that very thread counts.
"""

import logging
import os
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, RLock, Thread
from weakref import WeakSet

from opentelemetry.context import Context, attach, detach
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from clew.core.containment import contain
from clew.core.wording import number_of
from clew.export.exporter_logs import Outage, listen_to, listening, reason

logger = logging.getLogger("clew")

QUEUE_FULL = "queue full"
EXPORT_FAILED = "export failed"
EXIT_TIMEOUT = "exit timeout"
ENDED_LATE = "ended after shutdown"


@dataclass
class Order:
    """What a lane is asked to do: to deliver all that is in its queue."""

    last: bool
    """Whether the exporter is to be shut down then."""
    delivered: bool = False
    done: Event = field(default_factory=Event)


class Lane:
    """Takes spans to one exporter."""

    def __init__(self, exporter: SpanExporter, *, most: int, batch: int, delay: float) -> None:
        self.exporter = exporter
        self.name = type(exporter).__name__
        self._most, self._batch, self._delay = most, batch, delay
        self._closed = False
        self.begin_anew()
        listen_to(exporter)
        _lanes.add(self)

    def begin_anew(self) -> None:
        """Forget everything: in a forked child, what waits and what was counted is the parent's."""
        self._queue: deque[ReadableSpan] = deque()
        self._bell: SimpleQueue[Order | None] = SimpleQueue()  # Reentrant, as its users may be.
        self._rung = False
        self._thread: Thread | None = None
        self._starting = Lock()
        self._lock = RLock()
        self._underway = 0
        self._exported = 0
        self._dropped: Counter[str] = Counter()
        self._abandoned = False
        self._failing, self._full = Outage(), Outage()
        self._said: deque[str] = deque()

    # --- by whoever ends a span ---

    def put(self, span: ReadableSpan) -> None:
        """Take *span*, or drop it; at once in either case."""
        waiting = len(self._queue)
        if self._closed:
            self._drop(1, ENDED_LATE)
        elif waiting >= self._most:
            self._drop(1, QUEUE_FULL)
            if self._full.begins():
                logger.warning(
                    "clew: spans are dropped, because %s is slower than they are made and %d are "
                    "waiting; they are counted in clew.stats(), and this is logged once",
                    self.name,
                    waiting,
                )
        else:
            self._queue.append(span)
            if self._thread is None:
                self._begin()
            elif waiting + 1 >= self._batch and not self._rung:
                self._rung = True
                self._bell.put(None)

    def ask(self, *, last: bool = False) -> Order:
        """Have everything delivered that was put here before."""
        if last:
            self._closed = True
        order = Order(last)
        if self._thread is None and (self._queue or last):
            self._begin()
        if self._thread is not None:
            self._bell.put(order)
        else:  # Nothing to do, or the interpreter ends, and starts no thread any more.
            self._obey(order)
        return order

    def abandon(self) -> None:
        """Give up and count what has not arrived, also what is underway and may yet arrive."""
        with self._lock:
            self._abandoned = True
            if left := self._underway + len(self._queue):
                self._dropped[EXIT_TIMEOUT] += left
            self._underway = 0
            self._queue.clear()

    def counted(self) -> tuple[int, int, Mapping[str, int]]:
        """Return how many spans were exported, are waiting, and were dropped for which reason."""
        with self._lock:
            return self._exported, self._underway + len(self._queue), dict(self._dropped)

    def last_words(self) -> str:
        """Return what the exporter says of the trouble that it has, as far as it does."""
        return reason(self._said)

    def _drop(self, spans: int, why: str) -> None:
        with self._lock:
            self._dropped[why] += spans

    def _begin(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # Somebody is at it: perhaps this very thread, a few calls up its stack.
        # In no context: a thread keeps what it is started in, and this one lives for long.
        token = attach(Context())
        try:
            if self._thread is None:
                self._thread = Thread(target=self._work, name=f"clew-{self.name}", daemon=True)
                self._thread.start()
        except RuntimeError:  # The interpreter ends, or the system has no thread left.
            self._thread = None
        finally:
            detach(token)
            self._starting.release()

    # --- by the lane's own thread ---

    def _work(self) -> None:
        try:
            while self._goes_on():
                pass
        finally:
            self._thread = None  # Whoever comes next starts another.

    def _goes_on(self) -> bool:
        """Wait for something to do, and do it; whether there will be more."""
        at_least = self._batch
        try:
            order = self._bell.get(timeout=self._delay)
        except Empty:
            order, at_least = None, 1
        if order is not None:
            self._obey(order)
            return not order.last
        self._rung = False
        try:
            self._deliver(at_least)
        except Exception:  # The thread goes on
            contain(f"delivering to {self.name}")
        return True

    def _obey(self, order: Order) -> None:
        try:
            order.delivered = self._deliver()
            if order.last:
                self.exporter.shutdown()
        except Exception:  # The exporter's own code
            contain(f"shutting down {self.name}")
        finally:
            order.done.set()

    def _deliver(self, at_least: int = 1) -> bool:
        """Export what waits now, in full batches and while there are *at_least* so many spans.

        Return whether all of it has arrived.
        """
        left, arrived = len(self._queue), True
        while left >= at_least:
            with self._lock:
                batch = self._take()
            if not batch:
                break
            left -= len(batch)
            arrived = self._export(batch) and arrived
        return arrived

    def _take(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        while self._queue and len(batch) < self._batch:
            batch.append(self._queue.popleft())
        self._underway = len(batch)
        return batch

    def _export(self, batch: list[ReadableSpan]) -> bool:
        with listening() as self._said, suppress_instrumentation():
            try:
                arrived = self.exporter.export(batch) is not SpanExportResult.FAILURE
            except (Exception, SystemExit) as error:  # The exporter's own code
                self._said.append(f"{type(error).__name__}: {error}")
                arrived = False
        with self._lock:
            if self._abandoned:
                return False  # It was counted when nobody wanted to wait for it any more.
            self._underway = 0
            if arrived:
                self._exported += len(batch)
            else:
                self._dropped[EXPORT_FAILED] += len(batch)
        if arrived:
            self._failing.ends()
            self._full.ends()
            return True
        if not self._closed and self._failing.begins():
            logger.warning(
                "clew: %s could not be exported by %s: %s; "
                "what is lost is counted in clew.stats(), and this is logged once",
                number_of(len(batch), "span"),
                self.name,
                self.last_words() or "it gives no reason",
            )
        return False


_lanes: WeakSet[Lane] = WeakSet()


def lanes() -> list[Lane]:
    """Return all lanes of this process."""
    return list(_lanes)


def _after_fork() -> None:
    for lane in lanes():
        lane.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
