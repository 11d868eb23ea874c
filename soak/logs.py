"""Counts what clew and OpenTelemetry log. What frameworks say of all that fails is not shown."""

import logging
import warnings

from clew.store.database import StoreError
from soak.counts import Counts

_EXPECTED = {
    # What an exporter or the disk does.
    "outages": (
        "could not be exported",
        "spans are dropped",
        "could not be delivered",
        "cannot be written now",
    ),
    # What an application is to know.
    "notes": ("kept in", "is inside a generator"),
}


_OF_THE_STORE = ("written by another process", "no space", "cannot be made", "I/O error")


def is_outage(error: BaseException | None) -> bool:
    """Whether *error* says that the store is not to be had now: it is busy, or the disk is full."""
    return isinstance(error, StoreError) and any(it in str(error) for it in _OF_THE_STORE)


class _Counting(logging.Handler):
    def __init__(self, counts: Counts) -> None:
        super().__init__(logging.WARNING)
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if record.name == "opentelemetry.sdk._shared_internal" and is_outage(error):
            self._counts.add("outages")
            return
        for kind, texts in _EXPECTED.items():
            if record.name == "clew" and any(it in said for it in texts):
                self._counts.add(kind)
                return
        if record.exc_info:
            said += f"\n{logging.Formatter().formatException(record.exc_info)}"
        self._counts.add("errors", f"{record.name}: {said}")


def count_errors(counts: Counts) -> None:
    """Count what is logged from now on."""
    be_quiet()
    for name in ("clew", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.addHandler(_Counting(counts))
        logger.propagate = False


def be_quiet() -> None:
    """Show no warnings and no logs of frameworks: hundreds of calls fail."""
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
