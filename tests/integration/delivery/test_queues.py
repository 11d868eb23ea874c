"""An exporter's queue never makes the application wait, and counts and logs each span it drops."""

import gc
import logging
from collections import Counter
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from clew import stats
from clew.core import containment, settings
from clew.export import exit_deadline, exporter_logs, queue
from clew.export.delivery_processor import Delivery

FLUSH_TIMEOUT = 20_000
"""Milliseconds after which a test fails."""


class Exporter(SpanExporter):
    """Returns or raises *answer*, and logs as OTLP exporters do."""

    logger = logging.getLogger(__name__)

    def __init__(self, answer=SpanExportResult.SUCCESS):
        self.answer = answer
        self.names = []
        self.open, self.entered = Event(), Event()
        self.open.set()
        self.contexts = []
        self.shut = 0

    def export(self, spans):
        self.entered.set()
        self.open.wait()
        self.contexts.append(otel.get_current())
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is SpanExportResult.FAILURE:
            self.logger.warning("Transient error: the line is dead, retrying in 1s")
            self.logger.warning("Transient error: the line is dead, retrying in 2s")
            self.logger.error("Failed to export")
        else:
            self.names += [span.name for span in spans]
        return self.answer

    def shutdown(self):
        self.shut += 1


class Telemetry:
    def __init__(self, *exporters, sampler=ALWAYS_ON):
        self.exporters = exporters
        self.delivery = Delivery(exporters)
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(self.delivery)
        self.tracer = self.provider.get_tracer("application")

    def make(self, spans, name="span"):
        for _ in range(spans):
            self.tracer.start_span(name).end()

    def flush(self, milliseconds=FLUSH_TIMEOUT):
        return self.provider.force_flush(milliseconds)

    def counted(self):
        counts = stats()
        return counts.exported, counts.waiting, dict(counts.dropped)


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """Set a small queue, and export nothing unless a test flushes."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    gc.collect()
    monkeypatch.setattr(queue, "_queues", type(queue._queues)())


@pytest.fixture
def make_telemetry(request):
    made = []

    @contextmanager
    def made_of(*exporters, **options):
        telemetry = Telemetry(*(exporters or (Exporter(),)), **options)
        made.append(telemetry)
        try:
            yield telemetry
        finally:
            for exporter in telemetry.exporters:
                exporter.open.set()
            telemetry.provider.shutdown()

    return made_of


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_flush_exports_every_span(make_telemetry):
    with make_telemetry() as telemetry:
        telemetry.make(3)
        assert telemetry.counted() == (0, 3, {})
        assert telemetry.flush()
        assert telemetry.exporters[0].names == ["span"] * 3
        assert telemetry.counted() == (3, 0, {})
        assert telemetry.flush()


def test_a_full_batch_is_exported_without_a_flush(make_telemetry):
    with make_telemetry() as telemetry:
        telemetry.make(4)
        assert telemetry.exporters[0].entered.wait(FLUSH_TIMEOUT / 1000)


def test_spans_are_exported_after_the_delay(make_telemetry, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with make_telemetry() as telemetry:
        telemetry.make(1)
        assert telemetry.exporters[0].entered.wait(FLUSH_TIMEOUT / 1000)


def test_a_hanging_exporter_blocks_nothing_and_every_span_is_counted(make_telemetry, caplog):
    exporter = Exporter()
    exporter.open.clear()
    with make_telemetry(exporter) as telemetry:
        telemetry.make(4)
        exporter.entered.wait()
        telemetry.make(50)
        assert telemetry.counted() == (0, 14, {"queue full": 40})
        assert not telemetry.flush(10)
        (line,) = lines(caplog)
        assert line.startswith("clew: spans are dropped, because Exporter is slower than they are")
        exporter.open.set()
        assert telemetry.flush()
        assert telemetry.counted() == (14, 0, {"queue full": 40})


def test_a_hanging_exporter_does_not_block_another(make_telemetry):
    hanging, working = Exporter(), Exporter()
    hanging.open.clear()
    with make_telemetry(hanging, working) as telemetry:
        telemetry.make(3)
        assert not telemetry.flush(200)
        assert working.names == ["span"] * 3
        first, second = sorted(stats().exporters, key=lambda it: it.exported)
        assert (first.exported, first.waiting) == (0, 3)
        assert (second.exported, second.waiting) == (3, 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (SpanExportResult.FAILURE, "Transient error: the line is dead, retrying in 2s Failed to"),
        (ZeroDivisionError("oh"), "ZeroDivisionError: oh"),
        (SystemExit("oh"), "SystemExit: oh"),
    ],
)
def test_failed_exports_are_counted_and_logged_once_with_the_reason(
    make_telemetry, caplog, answer, why
):
    with make_telemetry(Exporter(answer)) as telemetry:
        for _ in range(5):
            telemetry.make(2)
            assert not telemetry.flush()
        assert telemetry.counted() == (0, 0, {"export failed": 10})
    (line,) = lines(caplog)
    assert line.startswith(f"clew: 2 spans could not be exported by Exporter: {why}")


def test_what_an_exporter_logs_is_logged_at_debug(make_telemetry, caplog):
    caplog.set_level(logging.DEBUG, "clew")
    with make_telemetry(Exporter(SpanExportResult.FAILURE)) as telemetry:
        telemetry.make(1)
        telemetry.flush()
    assert "clew: an exporter says: Failed to export" in lines(caplog)


def test_logs_of_the_same_logger_elsewhere_are_not_captured(make_telemetry, caplog):
    with make_telemetry() as telemetry:
        telemetry.make(1)
        telemetry.flush()
        Exporter.logger.warning("of the application's own exporter")
    assert lines(caplog) == ["of the application's own exporter"]


@pytest.mark.parametrize(("min_seconds", "lines_logged"), [(600.0, 1), (0.0, 2)])
def test_another_outage_is_logged_again_but_not_too_often(
    make_telemetry, caplog, monkeypatch, min_seconds, lines_logged
):
    monkeypatch.setattr(exporter_logs, "_MIN_SECONDS_BETWEEN_LINES", min_seconds)
    with make_telemetry(Exporter()) as telemetry:
        for answer in (SpanExportResult.FAILURE, SpanExportResult.SUCCESS) * 2:
            telemetry.exporters[0].answer = answer
            telemetry.make(1)
            telemetry.flush()
    assert len(lines(caplog)) == lines_logged


def test_an_exporter_that_returns_nothing_has_exported(make_telemetry):
    with make_telemetry(Exporter(None)) as telemetry:
        telemetry.make(1)
        assert telemetry.flush()
        assert telemetry.counted() == (1, 0, {})


def test_shutdown_exports_and_then_accepts_no_more(make_telemetry):
    with make_telemetry() as telemetry:
        telemetry.make(3)
        telemetry.provider.shutdown()
        telemetry.make(2)
        telemetry.provider.shutdown()
        assert telemetry.counted() == (3, 0, {"ended after shutdown": 2})
        assert telemetry.exporters[0].shut == 1


def test_a_shutdown_stops_at_its_timeout(make_telemetry, caplog):
    exporter = Exporter()
    exporter.open.clear()
    with make_telemetry(exporter) as telemetry:
        telemetry.make(3)
        telemetry.delivery.shutdown(50)
        assert telemetry.counted() == (0, 0, {"exit timeout": 3})
        exporter.open.set()
    (line,) = lines(caplog)
    assert line.startswith("clew: 3 spans could not be delivered before the end (exit timeout: 3)")


def test_a_failing_shutdown_of_an_exporter_is_contained(make_telemetry, monkeypatch, caplog):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setattr(containment, "_logged", set())
    exporter = Exporter()
    monkeypatch.setattr(exporter, "shutdown", lambda: 1 / 0)
    with make_telemetry(exporter) as telemetry:
        telemetry.make(1)
        telemetry.provider.shutdown()
        assert telemetry.counted() == (1, 0, {})
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("name", ["put", "_next_batch"])
def test_an_error_in_clew_is_contained(make_telemetry, monkeypatch, name):
    monkeypatch.setattr(containment, "reraise", False)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    with make_telemetry() as telemetry:
        before = sum(stats().errors.values())
        with monkeypatch.context() as faulty:
            faulty.setattr(queue.ExporterQueue, name, lambda *_: 1 / 0)
            telemetry.make(2)
            assert telemetry.flush() == (name == "put")
        assert sum(stats().errors.values()) > before
        telemetry.make(1)
        assert telemetry.flush()
        assert telemetry.exporters[0].names == ["span"] * (1 if name == "put" else 3)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_an_invalid_time_means_the_default(monkeypatch, text):
    monkeypatch.setenv("CLEW_EXIT_TIMEOUT", text)
    assert settings.EXIT_TIMEOUT.read() == 3
    assert 2 < exit_deadline.seconds_left() <= 3


def test_a_span_that_is_not_sampled_is_not_delivered(make_telemetry):
    with make_telemetry(sampler=ALWAYS_OFF) as telemetry:
        telemetry.make(1)
        assert telemetry.flush()
        assert telemetry.counted() == (0, 0, {})


def test_many_threads_lose_no_span(make_telemetry, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "50")
    with make_telemetry() as telemetry:
        threads = [Thread(target=telemetry.make, args=(500, str(it))) for it in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert telemetry.flush()
        exported, waiting, dropped = telemetry.counted()
    assert (exported + sum(dropped.values()), waiting) == (2000, 0)
    assert sum(Counter(telemetry.exporters[0].names).values()) == exported


def test_an_export_runs_in_no_session(make_telemetry):
    with make_telemetry() as telemetry:
        token = otel.attach(otel.set_value("session.id", "chat-42"))
        telemetry.make(1)
        otel.detach(token)
        telemetry.flush()
        (seen,) = telemetry.exporters[0].contexts
    assert "session.id" not in seen
    assert seen["suppress_instrumentation"] is True


def test_a_span_may_end_while_the_queue_holds_its_locks(make_telemetry):
    """Here the same thread holds the lock of the queue, and starts the queue's thread."""
    with make_telemetry() as telemetry:
        (only,) = queue.exporter_queues()
        with only._lock, only._starting:
            telemetry.make(11)
        telemetry.make(1)
        assert telemetry.flush()
        assert telemetry.counted() == (10, 0, {"queue full": 2})


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_an_invalid_number_means_the_default(make_telemetry, monkeypatch, caplog, text):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", text)
    with make_telemetry() as telemetry:
        telemetry.make(1)
        telemetry.flush()
        assert telemetry.counted() == (1, 0, {})
    (line,) = lines(caplog)
    assert line.startswith(f"clew: OTEL_BSP_MAX_QUEUE_SIZE={text!r} cannot be used: ")
    assert line.endswith("The default is used: 2048")


def test_stats_as_text(make_telemetry, monkeypatch):
    with make_telemetry(Exporter(SpanExportResult.FAILURE)) as telemetry:
        telemetry.make(2)
        telemetry.flush()
        text = str(stats())
    assert text.startswith("spans exported: 0\nspans waiting: 0\nspans dropped, export failed: 2")
