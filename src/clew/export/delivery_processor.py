"""Delivery: the span processor of a provider that clew makes, with one lane for each exporter."""

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
from clew.export.exit_deadline import deadline, is_leaving
from clew.export.queue import EXIT_TIMEOUT, Lane, Order
from clew.export.span_limits import number_fault

logger = logging.getLogger("clew")

_AS_LONG_AS_THE_SDK = 30_000
"""Milliseconds that a flush or a shutdown may take where nobody says, and the process goes on."""


class Delivery(SpanProcessor):
    """Gives each span that ends to every exporter's lane, and sees to it that they all end."""

    def __init__(self, exporters: Sequence[SpanExporter]) -> None:
        most = _number(OTEL_BSP_MAX_QUEUE_SIZE, 2048)
        batch = min(most, _number(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, 512))
        delay = _number(OTEL_BSP_SCHEDULE_DELAY, 5000) / 1000
        self.span_exporters = tuple(exporters)
        self._lanes = [Lane(it, most=most, batch=batch, delay=delay) for it in exporters]
        self._is_shut_down = self._complained = False

    def on_end(self, span: ReadableSpan) -> None:
        """Take *span* to the exporters, later."""
        try:
            if (context := span.context) is not None and context.trace_flags.sampled:
                for lane in self._lanes:
                    lane.put(span)
        except Exception:
            contain("taking a span to its exporter")

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Deliver what has ended; whether all of it has arrived in time."""
        until = _until(timeout_millis)
        before = self._dropped()
        arrived = _await([lane.ask() for lane in self._lanes], until)
        if not arrived and is_leaving():
            self._complain(before, sum(lane.counted()[1] for lane in self._lanes))
        return arrived

    def shutdown(self, timeout_millis: int | None = None) -> None:
        """Deliver what is left, count what does not arrive in time, and take no more."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        until = _until(timeout_millis)
        before = self._dropped()
        _await([lane.ask(last=True) for lane in self._lanes], until)
        for lane in self._lanes:
            lane.abandon()
        self._complain(before)

    def _dropped(self) -> Counter[str]:
        dropped = Counter[str]()
        for lane in self._lanes:
            dropped.update(lane.counted()[2])
        return dropped

    def _complain(self, before: Counter[str], waiting: int = 0) -> None:
        lost = self._dropped() - before + Counter({EXIT_TIMEOUT: waiting})
        if not lost or self._complained:
            return
        self._complained = True
        said = [f"{lane.name}: {words}" for lane in self._lanes if (words := lane.last_words())]
        logger.warning(
            "clew: %s could not be delivered before the end (%s): %s",
            number_of(lost.total(), "span"),
            ", ".join(f"{why}: {spans}" for why, spans in lost.items()),
            "; ".join(said) or "no answer came in time; CLEW_EXIT_TIMEOUT says how long to wait",
        )


def _until(timeout_millis: int | None) -> float:
    return deadline((_AS_LONG_AS_THE_SDK if timeout_millis is None else timeout_millis) / 1000)


def _await(orders: Sequence[Order], until: float) -> bool:
    """Wait for *orders*, all until the same moment; whether all was delivered."""
    in_time = [order.done.wait(max(0.0, until - monotonic())) for order in orders]
    return all(in_time) and all(order.delivered for order in orders)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if fault := number_fault(text):
        message = f"{variable}={text!r} cannot be used: {fault}. The default is used: {default}"
        settings.log_once(variable, text, message)
        return default
    return int(text)
