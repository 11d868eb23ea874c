"""Keeps clew's own exceptions from the application.

Instrumentation must never break its application: at the few places where clew runs inside a call of
the application, an exception of clew's own is counted and logged once. Under clew's own tests it is
raised instead, so that none goes unnoticed.
"""

import logging

from clew.core import counters
from clew.core.standard_error import use_last_resort

logger = logging.getLogger("clew")
use_last_resort(logger)

reraise = False
"""True under clew's own tests."""

CONTAINED = "errors contained while "

_logged: set[str] = set()


def contain(doing: str) -> None:
    """Count the exception being handled, and log it if it is the first while *doing* this."""
    if reraise:
        raise  # noqa: PLE0704 - it is only called in an except block
    counters.count(f"{CONTAINED}{doing}")
    if doing not in _logged:
        _logged.add(doing)
        logger.warning(
            "clew failed while %s; the application is not affected. This is logged once.",
            doing,
            exc_info=True,  # noqa: LOG014 - it is only called in an except block
        )
