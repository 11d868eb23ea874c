"""Fixtures: a logger provider of the application, and what it exports."""

import logging

import pytest

otel_export = pytest.importorskip("opentelemetry.sdk._logs.export")
from opentelemetry.sdk._logs import LoggerProvider  # What it needs was checked above

from clew.logging import stamp_logs_of

Exporter = getattr(otel_export, "InMemoryLogRecordExporter", None) or (
    otel_export.InMemoryLogExporter  # Its name until 1.39.
)


class Logs:
    """A logger provider that exports at once, and exists before clew is switched on."""

    def __init__(self, **options):
        self.exporter = Exporter()
        self.provider = LoggerProvider(shutdown_on_exit=False, **options)
        self.provider.add_log_record_processor(otel_export.SimpleLogRecordProcessor(self.exporter))
        self.logger = self.provider.get_logger("application")  # Handed out before.
        self.undo = stamp_logs_of(self.provider)

    def records(self):
        return [it.log_record for it in self.exporter.get_finished_logs()]

    def attributes(self):
        return [dict(it.attributes) for it in self.records()]

    def ids(self):
        return [(it.get("session.id"), it.get("user.id")) for it in self.attributes()]


@pytest.fixture
def logs():
    return Logs()


@pytest.fixture
def make_logs():
    return Logs


@pytest.fixture
def application():
    """A logger of ``logging`` without any handlers."""
    logger = logging.getLogger("tests.integration.logs.application")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for each in list(logger.filters):
        logger.removeFilter(each)


@pytest.fixture
def otel_handler():
    """Make OpenTelemetry's handler for ``logging``, wherever this release has it."""

    def make(provider):
        try:
            from opentelemetry.instrumentation.logging.handler import LoggingHandler
        except ImportError:
            from opentelemetry.sdk._logs import LoggingHandler
        return LoggingHandler(logger_provider=provider)

    return make
