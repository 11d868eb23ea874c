"""What an exporter logs while it works for clew: heard, and said once for each outage.

An exporter logs every attempt of every batch. With a collector that is down, an application would
find hundreds of lines of it in its log. So the warnings that it gives in a thread of clew's are
kept back, and the last of them become the reason in one line of clew's own; who wants them all sets
the logger ``clew`` to DEBUG. What an exporter logs in any other thread is not touched.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from time import monotonic

logger = logging.getLogger("clew")

_QUIET = 600.0
"""Seconds: a collector that comes and goes is not mentioned more often than that."""
_LONGEST = 500
_ALIKE = 20
_LAST = 2
"""The last word of OTLP's exporter is that it gave up, the one before it is why."""


class _Heard(local):
    """What is being said in one thread, while somebody listens there."""

    said: deque[str] | None = None


_heard = _Heard()


class _Listening(logging.Filter):
    """Keeps back what is logged where somebody listens."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _heard.said is None or record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        if _heard.said and _heard.said[-1][:_ALIKE] == message[:_ALIKE]:
            _heard.said.pop()  # The next attempt, and the same trouble.
        _heard.said.append(message)
        logger.debug("clew: an exporter says: %s", message)
        return False


_listening = _Listening()


def listen_to(exporter: object) -> None:
    """Hear what *exporter* says: the loggers are named after the modules of its class."""
    for cls in type(exporter).__mro__[:-1]:
        logging.getLogger(cls.__module__).addFilter(_listening)


@contextmanager
def listening() -> Iterator[deque[str]]:
    """Collect what the exporters say inside, in this thread."""
    said = deque[str](maxlen=_LAST)
    _heard.said = said
    try:
        yield said
    finally:
        _heard.said = None


def reason(said: deque[str]) -> str:
    """Return what was heard as one short line."""
    text = " ".join(" ".join(said.copy()).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Outage:
    """One kind of trouble, which is mentioned once until it is over."""

    def __init__(self) -> None:
        self._mentioned = False
        self._quiet_until = 0.0

    def begins(self) -> bool:
        """Note the trouble; whether it is to be mentioned."""
        if self._mentioned or monotonic() < self._quiet_until:
            return False
        self._mentioned = True
        self._quiet_until = monotonic() + _QUIET
        return True

    def ends(self) -> None:
        """Note that the trouble is over."""
        self._mentioned = False
