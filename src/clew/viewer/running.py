"""Which turns are still running: what is around them has not ended, and is expected soon.

A span is stored when it ends, and the one around a turn ends last. So a turn whose outermost stored
span has a parent that is not stored goes on, unless nothing has been heard of it for some time.
"""

from collections.abc import Iterable, Mapping
from time import time_ns
from typing import Any

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


def running(reader: Reader, turns: Iterable[Mapping[str, Any]]) -> set[tuple[bytes, bytes]]:
    """Return the ids of trace and root of those of the *turns* that are still running."""
    now = time_ns()
    found = set[tuple[bytes, bytes]]()
    for turn in turns:
        quiet = (now - turn["end_ns"]) / _SECOND
        if abs(quiet) > LOST_SECONDS:
            continue
        ids = ids_of(turn)
        parameters = {"trace": ids[0], "root": ids[1], "start": turn["start_ns"]}
        for row in reader.rows(_FLAGS, parameters):
            if quiet <= patience(row["flags"]):
                found.add(ids)
    return found


def ids_of(turn: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the ids of trace and root of a row."""
    return _id(turn["trace"]), _id(turn["root"])


def recently() -> int:
    """Return the time since when a turn that is running has been heard of, in nanoseconds."""
    return time_ns() - int(LOST_SECONDS * _SECOND)


def _id(value: str | bytes) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else value
