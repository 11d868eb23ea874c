"""Tells which sessions ``CLEW_SESSION_SAMPLE_RATE`` drops, all of which a process can find out.

A span that was started before its session was known is exported like any span outside a session.
It is not given the ids of a session that is dropped: that would be exported as one without a turn.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from hashlib import sha256

from clew.context.ids import SESSION_ID
from clew.patching.undo import UndoStack

_rates: list[float] = []
"""The rate, once for each tracer provider that samples sessions."""


@lru_cache(maxsize=4096)
def session_is_kept(session_id: str, rate: float) -> bool:
    """Whether a session is in the share *rate* that is kept; the same result in every process."""
    position = int.from_bytes(sha256(session_id.encode("utf-8", "replace")).digest()[:8])
    return position < rate * 2**64


def drop_sessions(rate: float, undo: UndoStack) -> None:
    """Note that a tracer provider keeps the share *rate* of sessions; add to *undo* its end."""
    undo.add(partial(_rates.remove, rate))
    _rates.append(rate)


def is_of_dropped_session(attributes: Mapping[str, object]) -> bool:
    """Whether *attributes* are those of a session that is dropped."""
    if not _rates:
        return False
    session_id = attributes.get(SESSION_ID)
    return isinstance(session_id, str) and not session_is_kept(session_id, _rates[-1])
