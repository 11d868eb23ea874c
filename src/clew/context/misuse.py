"""Warnings about calls without effect: a block that is never entered, ids that nothing uses."""

import logging
import sys
from types import FrameType

from opentelemetry import trace

logger = logging.getLogger("clew")

_warned: set[tuple[str, int]] = set()
_MAX_WARNED_LINES = 100

tracing_is_unchecked = True
"""Whether it has not been checked yet that the ids of a block are put on spans."""


def note_ids_are_used() -> None:
    """Note that something puts the ids on spans, so that no warning is needed."""
    global tracing_is_unchecked  # Checked once in a process
    tracing_is_unchecked = False


def check_tracing() -> None:
    """Warn, once in a process, if ids are set and nothing at all is traced.

    If the application has set a tracer provider, its own instrumentation may use them; a text log
    with clew's filter uses them too.
    """
    note_ids_are_used()
    in_logs = "clew.logging.text" in sys.modules
    if not in_logs and _nothing_traces():
        logger.warning(
            "clew: ids are set, but nothing is traced yet, so they are on no span: "
            "call clew.instrument_all() first, at the start of the program, "
            "unless this process only passes them on"
        )


def _nothing_traces() -> bool:
    try:
        return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    except Exception:  # OpenTelemetry loads the one that a variable names, and reraises
        logger.debug("OpenTelemetry's tracer provider cannot be loaded", exc_info=True)
        return True


def warn_of_unused(name: str, frame: FrameType | None) -> None:
    """Warn, once for each line, of a block that *frame* discarded without entering it."""
    if frame is None or sys.is_finalizing():
        return  # At exit, the interpreter discards what the program has kept.
    line = (frame.f_code.co_filename, frame.f_lineno)
    if line in _warned or len(_warned) >= _MAX_WARNED_LINES:
        return
    _warned.add(line)
    logger.warning(
        "clew: %s(...) was created and never entered, so it has no effect (%s:%d): "
        'write "with %s(...):" around the code, or put it before a function as a decorator',
        name,
        line[0],
        line[1],
        name,
    )
