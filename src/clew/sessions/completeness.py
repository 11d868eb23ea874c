"""Whether a turn goes on: the span around what is stored has not ended yet, or never comes."""

QUIET_SECONDS = 3.0
"""What is inside a span of another process, which perhaps writes to another store, is complete when
nothing has been added to it for so long."""
LOST_SECONDS = 60.0
"""The same where that span is of the same process: it ends some time, or its process was killed."""
_KNOWN_LOCAL, _REMOTE = 0x100, 0x200
"""Flags of OTLP: it is known whether the parent is remote, and it is."""


def patience(flags: int) -> float:
    """Return for how many seconds a span's parent that is not stored may still come."""
    lost = flags & _KNOWN_LOCAL and not flags & _REMOTE
    return LOST_SECONDS if lost else QUIET_SECONDS
