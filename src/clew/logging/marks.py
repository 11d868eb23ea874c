"""The type of ids that clew stores on a record of ``logging`` when it is created.

A handler may see the record later, in another thread with another context. OpenTelemetry's handler
turns everything on the record into attributes, also these ids; their type distinguishes them from
what the application set.
"""

from operator import index
from typing import Any, SupportsIndex

from clew.context.ids import SESSION_ID, USER_ID

_PROTOCOL_OF_SOCKET_HANDLERS = 1

NAMES = {SESSION_ID: "session_id", USER_ID: "user_id"}
"""The names of the ids where a name cannot have a dot: in the formats of text logs."""


class StoredId(str):
    """An id stored by clew. It keeps its type when a limit on the length of values cuts it."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> str:
        return type(self)(super().__getitem__(key))

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        """Become plain text for a log server, which may not have clew and could read no record.

        The handlers of ``logging`` for sockets use protocol 1, multiprocessing a newer one.
        """
        if index(protocol) <= _PROTOCOL_OF_SOCKET_HANDLERS:
            return str, (str(self),)
        return super().__reduce_ex__(protocol)


class NoId(StoredId):
    """The text that is logged in place of an id outside of blocks."""

    __slots__ = ()
