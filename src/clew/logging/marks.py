"""Ids that were noted on a record of ``logging`` when it was made.

A handler may see the record later, in another thread, where the context is another. If it is
OpenTelemetry's, it takes whatever the record holds for attributes, these notes as well; their type
tells them from what the application gave.
"""

from typing import Any

from clew.context.identity import SESSION_ID, USER_ID

NAMES = {SESSION_ID: "session_id", USER_ID: "user_id"}
"""What the ids are called where a name has no dot: in the formats of text logs."""


class Noted(str):
    """An id, noted by clew. It stays what it is when a limit on the length of values cuts it."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        return type(self)(super().__getitem__(key))


class NotedOutside(Noted):
    """What stands for an id outside of blocks."""

    __slots__ = ()
