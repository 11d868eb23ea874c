"""Captures what an exporter logs while clew uses it, so that clew logs one line for each outage.

An exporter logs every attempt of every batch. While a collector is down, an application would have
hundreds of such lines in its log. So an exporter's warnings in a thread of clew's are not logged,
and the last of them become the reason in one line of clew's own. With the logger ``clew`` at DEBUG
all of them are logged. What an exporter logs in any other thread is not captured.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from time import monotonic

logger = logging.getLogger("clew")

_MIN_SECONDS_BETWEEN_LINES = 600.0
"""An outage that begins again sooner than that is not logged."""
_MAX_LENGTH = 500
_SAME_START = 20
"""Messages with the same characters up to here are taken for the same one."""
_LAST_MESSAGES = 2
"""The last message of OTLP's exporter is that it gave up, and the one before it tells why."""


class _Captured(local):
    """What has been logged in this thread, while its logs are captured."""

    messages: deque[str] | None = None


_captured = _Captured()


class _Capture(logging.Filter):
    """Captures the warnings of a thread whose logs are captured, and drops the records."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _captured.messages is None or record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        if _captured.messages and _captured.messages[-1][:_SAME_START] == message[:_SAME_START]:
            _captured.messages.pop()  # The next attempt has failed for the same reason.
        _captured.messages.append(message)
        logger.debug("clew: an exporter says: %s", message)
        return False


_capture = _Capture()


def capture_logs_of(exporter: object) -> None:
    """Add the filter to the loggers of *exporter*, named after the modules of its classes."""
    for cls in type(exporter).__mro__[:-1]:
        logging.getLogger(cls.__module__).addFilter(_capture)


@contextmanager
def captured_logs() -> Iterator[deque[str]]:
    """Capture the last messages that exporters log inside the block, in this thread."""
    messages = deque[str](maxlen=_LAST_MESSAGES)
    _captured.messages = messages
    try:
        yield messages
    finally:
        _captured.messages = None


def as_one_line(messages: deque[str]) -> str:
    """Return *messages* as one line of limited length."""
    text = " ".join(" ".join(messages.copy()).split())
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


class Outage:
    """A failure that is logged once until it is over."""

    def __init__(self) -> None:
        self._is_logged = False
        self._silent_until = 0.0

    def begins(self) -> bool:
        """Note that it has failed; return whether to log that."""
        if self._is_logged or monotonic() < self._silent_until:
            return False
        self._is_logged = True
        self._silent_until = monotonic() + _MIN_SECONDS_BETWEEN_LINES
        return True

    def ends(self) -> None:
        """Note that the failure is over."""
        self._is_logged = False
