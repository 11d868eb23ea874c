"""Reading: opens the store for a question, and never changes it.

Whoever else reads a store summarises and scores first what applications have added. Here that is
done in a private copy, which is deleted at the end: an agent has no business writing.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

from clew.core.wording import number_of
from clew.sessions.opening import open_engine_store
from clew.sessions.scoring import are_scored
from clew.sessions.store import SessionStore
from clew.sessions.summaries import is_up_to_date, spans_left
from clew.store.database import OlderStoreError, connect

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

_MAX_COPIED = 256 * 2**20
"""A greater file is read as it is: what is not summarised in it is missing, and that is said."""
_SECONDS = 10.0
"""How long a question waits for summaries, and for scores; what is left, the next one does."""
_LEFT = "SELECT count(*) AS number FROM session WHERE scored = 0"


class Reading:
    """Opens the store, or an up-to-date copy of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: TemporaryDirectory[str] | None = None
        self._state: object = None
        """That of the store when it was copied."""
        self._lock = Lock()

    @contextmanager
    def store(self) -> Iterator[SessionStore]:
        """Open what is to be read; one question at a time."""
        with self._lock:
            copy = self._copy()
            place = self._path if copy is None else copy
            with SessionStore(place, catches_up=False, read_only=copy is None) as store:
                if copy is not None:
                    store.catch_up(_SECONDS)
                    store.score(_SECONDS)
                yield store

    def close(self) -> None:
        """Delete the copy."""
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = self._state = None

    def _copy(self) -> Path | None:
        """Return an up-to-date copy of the store; None if the store itself can be read."""
        state = _state(self._path)
        if self._folder is not None and state == self._state:
            return Path(self._folder.name) / "sessions.db"
        self.close()
        if _is_ready(self._path) or self._path.stat().st_size > _MAX_COPIED:
            return None
        self._folder, self._state = TemporaryDirectory(prefix="clew-mcp-"), state
        copy = Path(self._folder.name) / "sessions.db"
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with (
                closing(sqlite3.connect(address, uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except BaseException:
            self.close()  # What is there is not all.
            raise
        return copy


class EngineReading:
    """Opens an engine for each question, so that other commands can use its files meanwhile.

    Spans are only read. clew's own tables are brought up to date first, as by any command.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()

    @contextmanager
    def store(self) -> "Iterator[Conversations]":
        """Open what is to be read; one question at a time."""
        with self._lock, open_engine_store(self._url) as store:
            yield store

    def close(self) -> None:
        """Nothing is open between questions."""


def what_is_missing(store: "Conversations") -> dict[str, Any]:
    """Say what the answers from *store* do not contain yet; nothing if all is there."""
    if not isinstance(store, SessionStore):
        return {}  # Each question waits until all is read.
    with closing(connect(store.path, read_only=True)) as connection:
        left, _ = spans_left(connection)
    unscored = store.sql(_LEFT)[0]["number"]
    missing = []
    if left:
        missing.append(f"{number_of(left, 'new span')} not read yet")
    if unscored:
        missing.append(f"{number_of(unscored, 'session')} without friction and failure yet")
    if not missing:
        return {}
    return {"note": f"{'; '.join(missing)}: ask again, or run `clew sessions --order worst`"}


def _is_ready(path: Path) -> bool:
    """Whether all is summarised and scored."""
    try:
        with closing(connect(path, read_only=True)) as connection:
            return is_up_to_date(connection) and are_scored(connection)
    except OlderStoreError:
        return False


def _state(path: Path) -> object:
    """Return what changes with every transaction."""
    found = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = file.stat()
            found.append((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0, 0))
    return found
