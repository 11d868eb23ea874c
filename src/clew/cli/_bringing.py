"""Copies single sessions and traces from an engine, for somebody who wants to see them at once."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.sessions.opening import copy_of_sessions, copy_of_trace
from clew.sessions.store import SessionStore
from clew.viewer.source import Brought

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine

_MOST_AT_ONCE = 4
_SECONDS = 60.0
"""Before what is done is copied again."""
_SECONDS_AFTER_FAILURE = 5.0


class SessionCopies:
    """What is copied because somebody looks at it, each in a thread of its own.

    A session has its id, and a trace the bytes of its own.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._copies: dict[str | bytes, _Copy] = {}
        self._is_closed = False

    @property
    def is_at_work(self) -> bool:
        """Whether one is being copied."""
        return any(not it.done.is_set() for it in list(self._copies.values()))

    def bring(self, wanted: str | bytes, seconds: float = 0.0) -> Brought:
        """Copy a session or a trace, if that was not just done; wait, but not longer than that."""
        with self._lock:
            now = monotonic()
            self._copies = {it.wanted: it for it in self._copies.values() if it.until > now}
            copy = self._copies.get(wanted)
            if copy is None:
                at_work = sum(not it.done.is_set() for it in self._copies.values())
                if at_work >= _MOST_AT_ONCE or self._is_closed:
                    return Brought()
                copy = self._copies[wanted] = _Copy(self._url, wanted)
                Thread(target=copy.run, daemon=True).start()
        copy.done.wait(seconds)
        return copy.brought

    def cancel(self) -> None:
        """Stop what the engine is asked; nothing is copied from now on."""
        self._is_closed = True
        for copy in list(self._copies.values()):
            copy.cancel()


class _Copy:
    """One session or trace that is being copied, or was."""

    def __init__(self, url: str, wanted: str | bytes) -> None:
        self.wanted = wanted
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
            self._copy(self.wanted)
        except (ClewError, OSError, sqlite3.Error) as error:
            trouble = " ".join(str(error).split()) or type(error).__name__
        except Exception as error:
            contain("copying what somebody looks at")
            trouble = type(error).__name__
        self._engine = None
        self.brought = Brought(self._traces, trouble)
        self.until = monotonic() + (_SECONDS_AFTER_FAILURE if trouble else _SECONDS)
        self.done.set()

    def _copy(self, wanted: str | bytes) -> None:
        sessions: Sequence[str]
        if isinstance(wanted, str):
            sessions = [wanted]
            path = copy_of_sessions(self._url, sessions, self._count, self._asks).path
        else:
            path, sessions = copy_of_trace(self._url, wanted, self._count, self._asks)
        with SessionStore(path, catches_up=False) as store:
            store.score(sessions=sessions)

    def cancel(self) -> None:
        """Stop what the engine is asked just now."""
        if (engine := self._engine) is not None:
            with suppress(ClewError):
                engine.cancel()

    def _count(self, traces: int) -> None:
        self._traces = traces

    def _asks(self, engine: "Engine") -> None:
        self._engine = engine
