"""Counts what is logged as an error, by clew, OpenTelemetry or asyncio."""

import logging

from soak.counts import Counts

_EXPECTED = ("could not be exported", "spans are dropped", "could not be delivered", "kept in")


class _Counting(logging.Handler):
    def __init__(self, counts: Counts) -> None:
        super().__init__(logging.WARNING)
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if record.name == "clew" and any(it in said for it in _EXPECTED):
            self._counts.add("outages")
            return
        if record.exc_info:
            said += f"\n{logging.Formatter().formatException(record.exc_info)}"
        self._counts.add("errors", f"{record.name}: {said}")


def count_errors(counts: Counts) -> None:
    """Count what these loggers say from now on."""
    for name in ("clew", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.addHandler(_Counting(counts))
        logger.propagate = False
