"""A DuckDB file that this process writes: who has it open, and how it is written anew.

DuckDB leaves what was deleted in blocks that it does not use any more.
"""

from collections.abc import Hashable
from pathlib import Path
from threading import RLock
from weakref import WeakSet

import duckdb

from clew.sessions.engines.duckdb_connection import text
from clew.sessions.engines.errors import EngineError
from clew.store.replacing import replace


class DuckDBFile:
    """The file at a *path*, of which there is one object in a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opening = RLock()
        """Held by who opens or closes it."""
        self._users: WeakSet[Hashable] = WeakSet()

    @property
    def _marker(self) -> Path:
        """It is there while the file is to be written anew, even if the process is killed."""
        return self.path.with_name(f"{self.path.name}.erasing")

    def add_user(self, user: Hashable) -> None:
        """Note that *user* has it open."""
        self._users.add(user)

    def erase(self) -> None:
        """Write it anew as soon as nobody in this process has it open."""
        self._marker.touch()

    def remove_user(self, user: Hashable) -> None:
        """Note that *user* has closed it."""
        self._users.discard(user)
        if not self._users and self._marker.exists():
            try:
                self._write_anew()
            except (duckdb.Error, OSError) as error:
                message = (
                    f"{self.path} could not be written anew, so what was deleted is still in "
                    f"unused parts of it, until it is closed the next time: {error}"
                )
                raise EngineError(message) from error
            self._marker.unlink(missing_ok=True)

    def _write_anew(self) -> None:
        new = self.path.with_name(f".{self.path.name}.new")
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH {text(str(self.path))} AS old")  # No one else has it now.
            new.unlink(missing_ok=True)  # By a process that was killed.
            try:
                connection.execute(f"ATTACH {text(str(new))} AS new")
                connection.execute("COPY FROM DATABASE old TO new")
                connection.execute("DETACH new")
                replace(new, self.path)
            finally:
                new.unlink(missing_ok=True)


_FILES: dict[Path, DuckDBFile] = {}
_LOCK = RLock()


def file_at(path: Path) -> DuckDBFile:
    """Return the object of this process for the file at *path*."""
    with _LOCK:
        return _FILES.setdefault(path.resolve(), DuckDBFile(path.resolve()))
