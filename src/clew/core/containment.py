"""The one place where an exception of clew's own is kept from the application.

Instrumentation must never break its host: at the few places where clew runs inside a call of the
application, a defect of clew's is counted and logged once. Under clew's own test-suite it is
raised instead, so that no such defect can hide.
"""

import logging

from clew.core import counters

logger = logging.getLogger("clew")

reraise = False
"""True under clew's own tests."""

CONTAINED = "errors contained while "

_logged: set[str] = set()


def contain(where: str) -> None:
    """Count the exception being handled, and log the first of its kind."""
    if reraise:
        raise  # noqa: PLE0704 - called from inside an except block, which is its contract
    counters.count(f"{CONTAINED}{where}")
    if where not in _logged:
        _logged.add(where)
        logger.warning(
            "clew failed while %s; the application is not affected. This is logged once.",
            where,
            exc_info=True,  # noqa: LOG014 - called from inside an except block, as above
        )
