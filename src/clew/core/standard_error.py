"""Writes to standard error without Python's buffer, and clew's log if nobody else does.

What cannot be written, to a full disk or a closed pipe, would stay in that buffer. Then the
application's own next line fails, and at its end Python makes 120 of its exit status.
"""

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO


def write(stream: TextIO, text: str) -> None:
    """Write *text* to *stream*, which is standard error, or what somebody has put in its place."""
    if stream is not sys.__stderr__:  # As in a notebook, or in a test.
        stream.write(text)
        return
    remaining = text.encode("utf-8", "replace")
    while remaining:
        remaining = remaining[os.write(stream.fileno(), remaining) :]


class LastResort(logging.Handler):
    """Does what Python's `logging.lastResort` does, for a logger that has no other handler."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless another handler is given it, or nobody wants such lines."""
        try:
            stream = sys.stderr
            if logging.lastResort is None or stream is None or self._has_others(record.name):
                return
            with suppress(OSError):
                write(stream, f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)

    def _has_others(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(it is not self for it in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def use_last_resort(logger: logging.Logger) -> None:
    """Give *logger* that handler, once."""
    if not any(isinstance(it, LastResort) for it in logger.handlers):
        logger.addHandler(LastResort(logging.WARNING))
