"""Copies what is new on an engine, while the page shows what is copied already."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from clew.core.containment import contain
from clew.core.errors import ClewError
from clew.sessions.opening import copy_of

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine

_SECONDS = 60.0
"""Between two looks at the engine. What people say on the page goes there as often, too."""
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
        self._url = url
        self._say = say
        self._tell = tell
        self._seconds = seconds
        self._engine: Engine | None = None
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        # In a thread, as an engine that does not answer may not answer that it cancels either.
        Thread(target=self._cancel, daemon=True).start()
        self._thread.join(_PATIENCE)

    def _cancel(self) -> None:
        # Again and again, as a question may be just about to begin.
        while self._thread.is_alive():
            try:
                if (engine := self._engine) is not None:
                    with suppress(ClewError):
                        engine.cancel()
            except Exception:
                contain("cancelling what an engine is asked")
            self._thread.join(0.2)

    def _run(self) -> None:
        said = ""
        while not self._ended.is_set():
            try:
                copy_of(self._url, self._tell, self._asks)
                said = ""
            except Exception as error:
                # Of the copy as well: another process is writing to it, or the disk is full.
                if (line := _line(error)) != said and not self._ended.is_set():
                    said = line
                    self._say(f"Not up to date: {said}")
            finally:
                self._engine = None
            self._ended.wait(self._seconds)

    def _asks(self, engine: "Engine") -> None:
        self._engine = engine


def _line(error: Exception) -> str:
    """Return what went wrong, in one line."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ClewError) else f"{type(error).__name__}: {text}"
