"""Which turns are still running: what is around them has not ended, and is expected soon.

A span is stored when it ends, and the one around a turn ends last. So a turn whose outermost stored
span has a parent that is not stored goes on, unless nothing has been heard of it for some time.
"""

from collections.abc import Iterable
from time import time_ns

from clew.sessions.completeness import LOST_SECONDS, patience
from clew.viewer.readers import Reader

_SECOND = 10**9
_FLAGS = """
SELECT flags FROM span AS root
WHERE trace_id = :trace AND span_id = :root AND parent_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM span AS around
    WHERE around.trace_id = root.trace_id AND around.span_id = root.parent_id
) AND NOT EXISTS (
    SELECT 1 FROM turn AS later WHERE later.trace_id = root.trace_id AND later.start_ns > :start
)
"""
"""Of several turns of a trace, only the last one may be running."""


def running(
    reader: Reader, turns: Iterable[tuple[bytes, bytes, int, int]]
) -> set[tuple[bytes, bytes]]:
    """Return the ids of trace and root of those of the *turns* that are still running.

    Of each turn these ids, its start and its end are given.
    """
    now = time_ns()
    found = set[tuple[bytes, bytes]]()
    for trace, root, start_ns, end_ns in turns:
        quiet = (now - end_ns) / _SECOND
        if abs(quiet) > LOST_SECONDS:
            continue
        parameters = {"trace": trace, "root": root, "start": start_ns}
        for row in reader.rows(_FLAGS, parameters):
            if quiet <= patience(row["flags"]):
                found.add((trace, root))
    return found


def recently() -> int:
    """Return the time since when a turn that is running has been heard of, in nanoseconds."""
    return time_ns() - int(LOST_SECONDS * _SECOND)
