"""Copies what is new on an engine, while the page shows what is copied already: its `Source`."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from clew.cli._bringing import SessionCopies
from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.sessions.engines.location import shown
from clew.sessions.opening import copy_of
from clew.viewer.source import Brought

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine

_SECONDS = 60.0
"""Between two looks at the engine. What people say on the page goes there as often, too."""
_SECONDS_AFTER_FAILURE = 5.0
_PATIENCE = 5.0
"""Seconds that the end of the page waits for the copying to end."""


class Follower:
    """A thread that copies the newest day first, and then again and again what is new.

    A context manager, at whose end the question that the engine is asked just then is cancelled.
    """

    def __init__(
        self,
        url: str,
        say: Callable[[str], None],
        tell: Callable[[int], None] | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        """Copy from the engine at *url*; *say* what goes wrong, *tell* how many traces came."""
        self.label = shown(url)
        self.is_complete = False
        self.traces = 0
        self._url = url
        self._say = say
        self._tell = tell
        self._seconds = seconds
        self._engine: Engine | None = None
        self._sessions = SessionCopies(url)
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        # In a thread, as an engine that does not answer may not answer that it cancels either.
        Thread(target=self._cancel, daemon=True).start()
        self._thread.join(_PATIENCE)

    def bring(self, wanted: str | bytes, seconds: float = 0.0) -> Brought:
        """Copy a session, or those of a trace, before the others; wait, but no longer than that."""
        return self._sessions.bring(wanted, seconds)

    def _cancel(self) -> None:
        # Again and again, as a question may be just about to begin.
        while self._thread.is_alive() or self._sessions.is_at_work:
            try:
                if (engine := self._engine) is not None:
                    with suppress(ClewError):
                        engine.cancel()
                self._sessions.cancel()
            except Exception:
                contain("cancelling what an engine is asked")
            self._thread.join(0.2)

    def _run(self) -> None:
        said = ""
        while not self._ended.is_set():
            try:
                copy_of(self._url, self._count, self._asks)
                self.is_complete = True
                said = ""
            except Exception as error:
                # Of the copy as well: another process is writing to it, or the disk is full.
                if (line := _line(error)) != said and not self._ended.is_set():
                    said = line
                    self._say(f"Not up to date: {said}")
            finally:
                self._engine = None
            self._ended.wait(min(self._seconds, _SECONDS_AFTER_FAILURE) if said else self._seconds)

    def _count(self, traces: int) -> None:
        self.traces = traces
        if self._tell is not None:
            self._tell(traces)

    def _asks(self, engine: "Engine") -> None:
        self._engine = engine


def _line(error: Exception) -> str:
    """Return what went wrong, in one line."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ClewError) else f"{type(error).__name__}: {text}"
