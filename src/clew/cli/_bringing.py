"""Copies single sessions from an engine, for somebody who wants to see them before the others."""

import sqlite3
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.sessions.opening import copy_of_sessions
from clew.sessions.store import SessionStore
from clew.viewer.source import Brought

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine

_MOST_AT_ONCE = 4
_SECONDS = 60.0
"""Before a session that is done is copied again."""
_SECONDS_AFTER_FAILURE = 5.0


class SessionCopies:
    """The sessions that are copied because somebody looks at them, each in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._copies: dict[str, _SessionCopy] = {}
        self._is_closed = False

    @property
    def is_at_work(self) -> bool:
        """Whether one is being copied."""
        return any(not it.done.is_set() for it in list(self._copies.values()))

    def bring(self, session_id: str, seconds: float = 0.0) -> Brought:
        """Copy a session, if that was not just done; wait for it, but not longer than that."""
        with self._lock:
            now = monotonic()
            self._copies = {it.session_id: it for it in self._copies.values() if it.until > now}
            copy = self._copies.get(session_id)
            if copy is None:
                at_work = sum(not it.done.is_set() for it in self._copies.values())
                if at_work >= _MOST_AT_ONCE or self._is_closed:
                    return Brought()
                copy = self._copies[session_id] = _SessionCopy(self._url, session_id)
                Thread(target=copy.run, daemon=True).start()
        copy.done.wait(seconds)
        return copy.brought

    def cancel(self) -> None:
        """Stop what the engine is asked; nothing is copied from now on."""
        self._is_closed = True
        for copy in list(self._copies.values()):
            copy.cancel()


class _SessionCopy:
    """One session that is being copied, or was."""

    def __init__(self, url: str, session_id: str) -> None:
        self.session_id = session_id
        self.done = Event()
        self.until = float("inf")
        """When it counts as copied no longer."""
        self.brought = Brought()
        self._url = url
        self._engine: Engine | None = None
        self._traces = 0

    def run(self) -> None:
        """Copy it, and score it, so that it can be seen at once where it broke."""
        trouble = ""
        try:
            found = copy_of_sessions(self._url, [self.session_id], self._count, self._asks)
            with SessionStore(found.path, catches_up=False) as store:
                store.score(sessions=[self.session_id])
        except (ClewError, OSError, sqlite3.Error) as error:
            trouble = " ".join(str(error).split()) or type(error).__name__
        except Exception as error:
            contain("copying a session")
            trouble = type(error).__name__
        self._engine = None
        self.brought = Brought(self._traces, trouble)
        self.until = monotonic() + (_SECONDS_AFTER_FAILURE if trouble else _SECONDS)
        self.done.set()

    def cancel(self) -> None:
        """Stop what the engine is asked just now."""
        if (engine := self._engine) is not None:
            with suppress(ClewError):
                engine.cancel()

    def _count(self, traces: int) -> None:
        self._traces = traces

    def _asks(self, engine: "Engine") -> None:
        self._engine = engine
