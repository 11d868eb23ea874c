"""What becomes of SQLite's log when only the file of a store is moved away while it is written.

The two files of the log stay behind, under the name of the next store. There they are of no use to
the file that was moved, and whoever opened the next store would take them for its own.
"""

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clew.store.location import file_identity

logger = logging.getLogger("clew")

_PATIENCE = 1.0
"""How many seconds other processes are waited for."""
Identity = tuple[int, int] | None


def index_of(path: Path) -> Path:
    """Return the file beside a store through which processes share what is in its log."""
    return path.with_name(f"{path.name}-shm")


def log_of(path: Path) -> Path:
    """Return the file beside a store that has what is not in the store's own file yet."""
    return path.with_name(f"{path.name}-wal")


def leave(connection: sqlite3.Connection, path: Path, index: Identity) -> None:
    """Have all of the log in the file of a store that is no longer at *path*, to be closed then.

    *index* identifies the file beside it through which this process shares the log.
    """
    try:
        is_beside = index is not None and file_identity(index_of(path)) == index
        if not is_beside or not path.exists():
            _save_log(connection, path)
        else:
            # Something else was put there, and may have been opened with this log already.
            _remove_log(path)
    except OSError:
        logger.debug("clew: %s cannot be looked at", path, exc_info=True)


def _save_log(connection: sqlite3.Connection, path: Path) -> None:
    """Write what is in the log into the file, wherever that was moved."""
    reason, until = "", time.monotonic() + _PATIENCE
    try:
        while not _is_saved(connection):
            if time.monotonic() > until:
                reason = "another process is using it"
                break
            time.sleep(0.01)
    except sqlite3.Error as error:
        reason = str(error)
    if reason:
        logger.warning(
            "clew: %s was moved while it was written, and may lack what was written last: %s",
            path,
            reason,
        )


def _is_saved(connection: sqlite3.Connection) -> bool:
    # It waits for nobody: others may be reading, or doing the same.
    busy, logged, saved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return not busy and bool(logged == saved)


def _remove_log(path: Path) -> None:
    for file in (log_of(path), index_of(path)):
        file.unlink(missing_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file at *path* that only its owner may read, if there is none.

    Processes that write to one that was there before keep its log for themselves.
    """
    if path.exists():
        return
    with _alone_in(path.parent) as is_alone:
        if is_alone and not path.exists():
            _remove_log(path)
        # SQLite gives the files that it puts beside this one the same permissions.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Keep other processes from making a file in *folder*; yield whether that is possible."""
    if sys.platform == "win32":  # A file that is open cannot be moved there.
        yield False
        return
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
    if descriptor is None:
        yield False
        return
    is_locked, until = False, time.monotonic() + _PATIENCE
    try:
        while not is_locked and time.monotonic() < until:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                is_locked = True
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # This file system has no locks.
                break
        yield is_locked
    finally:
        with suppress(OSError):  # A child that was forked meanwhile has it as well.
            flock(descriptor, LOCK_UN)
        os.close(descriptor)
