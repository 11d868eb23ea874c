"""ExporterQueue: one exporter, the queue of its spans, and the thread that empties the queue.

Whoever ends a span appends it to the queue without a lock, and never waits. A lock is taken only to
count a span that is dropped. It is reentrant and held for one addition at a time, because the
garbage collector may end a span at any moment, even while the same thread is counting.
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
from clew.core.otel_private import limit_timeout
from clew.core.wording import number_of
from clew.export.exit_deadline import is_exiting, seconds_left
from clew.export.exporter_logs import Outage, as_one_line, capture_logs_of, captured_logs

logger = logging.getLogger("clew")

QUEUE_FULL = "queue full"
EXPORT_FAILED = "export failed"
EXIT_TIMEOUT = "exit timeout"
ENDED_LATE = "ended after shutdown"


@dataclass
class FlushRequest:
    """A request to export everything that is in the queue."""

    is_last: bool
    """Whether the exporter is to be shut down then."""
    is_exported: bool = False
    done: Event = field(default_factory=Event)


class ExporterQueue:
    """Exports spans with one exporter, from a thread of its own."""

    def __init__(
        self, exporter: SpanExporter, *, max_size: int, batch_size: int, delay: float
    ) -> None:
        self.exporter = exporter
        self.name = type(exporter).__name__
        self._max_size, self._batch_size, self._delay = max_size, batch_size, delay
        self._closed = False
        self.reset()
        capture_logs_of(exporter)
        _queues.add(self)

    def reset(self) -> None:
        """Start empty. In a forked child, the waiting spans and the counts are the parent's."""
        self._queue: deque[ReadableSpan] = deque()
        # A SimpleQueue, as that is reentrant, like `put`. None means that a batch is full.
        self._requests: SimpleQueue[FlushRequest | None] = SimpleQueue()
        self._is_woken = False
        self._thread: Thread | None = None
        self._starting = Lock()
        self._lock = RLock()
        self._exporting = 0
        self._exported = 0
        self._dropped: Counter[str] = Counter()
        self._abandoned = False
        self._failing, self._full = Outage(), Outage()
        self._logged: deque[str] = deque()

    # --- called by whoever ends a span ---

    def put(self, span: ReadableSpan) -> None:
        """Append *span* or drop it, without waiting."""
        waiting = len(self._queue)
        if self._closed:
            self._drop(1, ENDED_LATE)
        elif waiting >= self._max_size:
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
                self._start_thread()
            elif waiting + 1 >= self._batch_size and not self._is_woken:
                self._is_woken = True
                self._requests.put(None)

    def request_flush(self, *, is_last: bool = False) -> FlushRequest:
        """Request the export of every span that has been put here."""
        if is_last:
            self._closed = True
        request = FlushRequest(is_last)
        if self._thread is None and (self._queue or is_last):
            self._start_thread()
        if self._thread is not None:
            self._requests.put(request)
        else:  # Nothing to do, or the interpreter is exiting and starts no threads any more.
            self._handle(request)
        return request

    def abandon(self) -> None:
        """Count what is not exported as dropped, even what is being exported and may succeed."""
        with self._lock:
            self._abandoned = True
            if remaining := self._exporting + len(self._queue):
                self._dropped[EXIT_TIMEOUT] += remaining
            self._exporting = 0
            self._queue.clear()

    def counted(self) -> tuple[int, int, Mapping[str, int]]:
        """Return how many spans were exported, are waiting, and were dropped for which reason."""
        with self._lock:
            return self._exported, self._exporting + len(self._queue), dict(self._dropped)

    def last_error(self) -> str:
        """Return what the exporter has logged about its latest failure; empty if nothing."""
        return as_one_line(self._logged)

    def _drop(self, spans: int, reason: str) -> None:
        with self._lock:
            self._dropped[reason] += spans

    def _start_thread(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # It is being started: perhaps by this very thread, a few calls up its stack.
        # In an empty context: a thread keeps the context it is started in, and this one lives long.
        token = attach(Context())
        try:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"clew-{self.name}", daemon=True)
                self._thread.start()
        except RuntimeError:  # The interpreter is exiting, or the system has no more threads.
            self._thread = None
        finally:
            detach(token)
            self._starting.release()

    # --- called by the queue's own thread ---

    def _run(self) -> None:
        try:
            while self._work():
                pass
        finally:
            self._thread = None  # The next `put` starts another.

    def _work(self) -> bool:
        """Wait for something to do, and do it; return whether the thread is to go on."""
        at_least = self._batch_size
        try:
            request = self._requests.get(timeout=self._delay)
        except Empty:
            request, at_least = None, 1
        if request is not None:
            self._handle(request)
            return not request.is_last
        self._is_woken = False
        try:
            self._export_waiting(at_least)
        except Exception:  # The thread goes on
            contain(f"delivering to {self.name}")
        return True

    def _handle(self, request: FlushRequest) -> None:
        try:
            request.is_exported = self._export_waiting()
            if request.is_last:
                self.exporter.shutdown()
        except Exception:  # The exporter's own code
            contain(f"shutting down {self.name}")
        finally:
            request.done.set()

    def _export_waiting(self, at_least: int = 1) -> bool:
        """Export what is waiting now, in full batches, while there are *at_least* so many spans.

        Return whether every export has succeeded.
        """
        remaining, succeeded = len(self._queue), True
        while remaining >= at_least:
            if not self._has_time():
                return False
            with self._lock:
                batch = self._next_batch()
            if not batch:
                break
            remaining -= len(batch)
            succeeded = self._export(batch) and succeeded
        return succeeded

    def _has_time(self) -> bool:
        """Whether there is time for an export; one that the exiting process waits for is limited.

        Since Python 3.12 no thread can be started then, so that nobody else could stop waiting.
        """
        if self._thread is not None or not is_exiting():
            return True
        left = seconds_left()
        if left > 0:
            limit_timeout(self.exporter, left)
        return left > 0

    def _next_batch(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        while self._queue and len(batch) < self._batch_size:
            batch.append(self._queue.popleft())
        self._exporting = len(batch)
        return batch

    def _export(self, batch: list[ReadableSpan]) -> bool:
        with captured_logs() as self._logged, suppress_instrumentation():
            try:
                succeeded = self.exporter.export(batch) is not SpanExportResult.FAILURE
            except (Exception, SystemExit) as error:  # The exporter's own code
                self._logged.append(f"{type(error).__name__}: {error}")
                succeeded = False
        with self._lock:
            if self._abandoned:
                return False  # `abandon` has counted it already.
            self._exporting = 0
            failed = getattr(self.exporter, "left_out", 0) if succeeded else len(batch)
            self._exported += len(batch) - failed
            if failed:
                self._dropped[EXPORT_FAILED] += failed
        if succeeded:
            self._failing.ends()
            self._full.ends()
            return not failed
        if not self._closed and self._failing.begins():
            logger.warning(
                "clew: %s could not be exported by %s: %s; "
                "what is lost is counted in clew.stats(), and this is logged once",
                number_of(len(batch), "span"),
                self.name,
                self.last_error() or "it gives no reason",
            )
        return False


_queues: WeakSet[ExporterQueue] = WeakSet()


def exporter_queues() -> list[ExporterQueue]:
    """Return all queues of this process."""
    return list(_queues)


def _after_fork() -> None:
    for queue in exporter_queues():
        queue.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
