"""Delivery: the span processor of a provider that clew makes, with a queue for each exporter."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from time import monotonic

from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from clew.core import settings
from clew.core.containment import contain
from clew.core.wording import number_of
from clew.export.exit_deadline import deadline, is_exiting
from clew.export.queue import EXIT_TIMEOUT, ExporterQueue, FlushRequest
from clew.export.span_limits import number_fault

logger = logging.getLogger("clew")

_DEFAULT_TIMEOUT = 30_000
"""Milliseconds for a flush or a shutdown without a timeout: as long as the SDK's."""


class Delivery(SpanProcessor):
    """Puts each span that ends into the queue of every exporter, and flushes and ends them all."""

    def __init__(self, exporters: Sequence[SpanExporter]) -> None:
        max_size = _number(OTEL_BSP_MAX_QUEUE_SIZE, 2048)
        batch_size = min(max_size, _number(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, 512))
        delay = _number(OTEL_BSP_SCHEDULE_DELAY, 5000) / 1000
        self.span_exporters = tuple(exporters)
        self._queues = [
            ExporterQueue(
                exporter,
                max_size=max_size,
                batch_size=batch_size,
                delay=min(delay, getattr(exporter, "schedule_delay", delay)),
            )
            for exporter in exporters
        ]
        self._is_shut_down = self._has_warned = False

    def on_end(self, span: ReadableSpan) -> None:
        """Queue *span* for every exporter."""
        try:
            if (context := span.context) is not None and context.trace_flags.sampled:
                for queue in self._queues:
                    queue.put(span)
        except Exception:
            contain("queueing a span for export")

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Export the spans that have ended; return whether all were exported in time."""
        until = _until(timeout_millis)
        before = self._dropped()
        is_exported = _wait_for([queue.request_flush() for queue in self._queues], until)
        if not is_exported and is_exiting():
            self._warn(before, sum(queue.counted()[1] for queue in self._queues))
        return is_exported

    def shutdown(self, timeout_millis: int | None = None) -> None:
        """Export the remaining spans, count those not exported in time, and accept no more."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        until = _until(timeout_millis)
        before = self._dropped()
        _wait_for([queue.request_flush(is_last=True) for queue in self._queues], until)
        for queue in self._queues:
            queue.abandon()
        self._warn(before)

    def _dropped(self) -> Counter[str]:
        dropped = Counter[str]()
        for queue in self._queues:
            dropped.update(queue.counted()[2])
        return dropped

    def _warn(self, before: Counter[str], waiting: int = 0) -> None:
        lost = self._dropped() - before + Counter({EXIT_TIMEOUT: waiting})
        if not lost or self._has_warned:
            return
        self._has_warned = True
        failed = [(queue.name, error) for queue in self._queues if (error := queue.last_error())]
        logger.warning(
            "clew: %s could not be delivered before the end (%s): %s",
            number_of(lost.total(), "span"),
            ", ".join(f"{reason}: {spans}" for reason, spans in lost.items()),
            "; ".join(f"{name}: {error}" for name, error in failed)
            or "no answer came in time; CLEW_EXIT_TIMEOUT says how long to wait",
        )


def _until(timeout_millis: int | None) -> float:
    return deadline((_DEFAULT_TIMEOUT if timeout_millis is None else timeout_millis) / 1000)


def _wait_for(requests: Sequence[FlushRequest], until: float) -> bool:
    """Wait for all *requests* until the same moment; return whether all spans were exported."""
    in_time = [request.done.wait(max(0.0, until - monotonic())) for request in requests]
    return all(in_time) and all(request.is_exported for request in requests)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if fault := number_fault(text):
        message = f"{variable}={text!r} cannot be used: {fault}. The default is used: {default}"
        settings.log_once(variable, text, message)
        return default
    return int(text)
