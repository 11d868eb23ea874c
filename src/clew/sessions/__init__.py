"""Conversations: what was said in each session, and its figures, read from the embedded store.

from clew import sessions

with sessions.open() as store:
for session in store.list(order_by="cost", limit=10):
print(session.id, session.cost, session.first_message)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.sessions.model import Call as Call
    from clew.sessions.model import Message as Message
    from clew.sessions.model import Turn as Turn
    from clew.sessions.opening import open as open  # noqa: A004 - it is sessions.open()
    from clew.sessions.session import Session as Session
    from clew.sessions.store import SessionStore as SessionStore
    from clew.sessions.table import Table as Table

_HOMES = {
    "Call": "model",
    "Message": "model",
    "Session": "session",
    "SessionStore": "store",
    "Table": "table",
    "Turn": "model",
    "open": "opening",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names above, listed once


def __getattr__(name: str) -> Any:
    """Import what is used: an application that only writes spans needs none of it."""
    from importlib import import_module

    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
