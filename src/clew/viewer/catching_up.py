"""Summarises and scores in a thread what pages do not wait for, while no page is being read."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread

from clew.core.errors import ClewError
from clew.sessions.store import SessionStore

_SECONDS = 0.03
"""How long is worked at a time. A page that comes meanwhile shares Python with it for so long."""
_PAUSE_SECONDS = 0.01
"""Between two times, so that others can write."""
_LONGEST_PAUSE_SECONDS = 1.0
"""However many pages are read, something is done that often."""


class CatchingUp:
    """The summaries that are still to be made, after many spans have been imported, say."""

    def __init__(self, path: Path) -> None:
        self.share = 1.0
        """Which share of the store is summarised, as far as is known."""
        self._path = path
        self._changed = Condition()
        self._reading = 0
        self._thread: Thread | None = None
        self._closing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Do nothing meanwhile."""
        with self._changed:
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @property
    def is_at_work(self) -> bool:
        """Whether something is still being summarised or scored."""
        return self._thread is not None

    def note(self, share: float, *, scored: bool = True) -> None:
        """Go on in the background if this *share* is not all, or not all of it is *scored*."""
        with self._changed:
            self.share = share
            if (share >= 1 and scored) or self._closing or self._thread is not None:
                return
            self._thread = Thread(target=self._run, name="clew-catching-up", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            with SessionStore(self._path, catches_up=False) as store:
                while self._may_go_on():
                    share = store.catch_up(_SECONDS)
                    with self._changed:
                        self.share = share
                    if share >= 1 and not store.score(_SECONDS):
                        break
        except (ClewError, sqlite3.Error) as error:
            # The next page tries again.
            logging.getLogger("clew").debug("The store is not summarised now: %s", error)
        finally:
            with self._changed:
                self._thread = None

    def _may_go_on(self) -> bool:
        """Wait until no page is read; return whether there is something left to do then."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, _PAUSE_SECONDS)
            self._changed.wait_for(
                lambda: self._closing or not self._reading, _LONGEST_PAUSE_SECONDS
            )
            return not self._closing
