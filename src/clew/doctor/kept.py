"""Checks of the store: what is in it, whether it can be written, and who may read it."""

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from clew.core.settings import STORE
from clew.core.wording import number_of
from clew.doctor.destinations import uses_store
from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.subject import Examined
from clew.sessions.summaries import is_up_to_date
from clew.store.database import EmptyStoreError, OlderStoreError, StoreError, connect
from clew.store.location import store_path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_store(examined: Examined) -> Iterator[Finding]:
    """Report what is in the store, and find what keeps spans from being added to it."""
    path = store_path(examined.variable(STORE.name))
    if path is None or not (path.exists() or uses_store(examined)):
        return
    if problem := _not_writable(path):
        yield error("store", problem, fix=f"{STORE.name}=FILE, in a folder that can be written")
    elif not path.exists():
        yield ok("store", f"{path} is not there yet: it is made when the first spans have ended")
    if path.is_file():
        yield from _content(path)


def check_permissions(examined: Examined) -> Iterator[Finding]:
    """Find a store that other users of this machine may read: conversations are in it."""
    path = store_path(examined.variable(STORE.name))
    if path is None or sys.platform == "win32":
        return
    readable = [str(file) for file in _files(path) if file.stat().st_mode & _OTHERS]
    if readable:
        yield warning(
            "store-permissions",
            f"other users may read or write {', '.join(readable)}",
            fix=f"chmod 600 {' '.join(readable)}",
        )


def _content(path: Path) -> Iterator[Finding]:
    """Look into the store without changing it."""
    try:
        with closing(connect(path, read_only=True)) as connection:
            (spans,) = connection.execute("SELECT count(*) FROM span").fetchone()
            (sessions,) = connection.execute("SELECT count(*) FROM session").fetchone()
            current = is_up_to_date(connection)
    except EmptyStoreError:
        yield note("store", f"{path} is empty: nothing could be written to it yet")
        return
    except OlderStoreError:
        yield note(
            "store",
            f"{path} has the form of an older release: it is brought to this one's when it is used",
            fix="clew sessions",
        )
        return
    except StoreError as problem:
        yield error("store", str(problem))
        return
    except sqlite3.Error as problem:
        yield error("store", f"{path} is damaged ({problem}); move it away")
        return
    size = sum(file.stat().st_size for file in _files(path))
    amount = f"{number_of(sessions, 'session')}, {number_of(spans, 'span')}, {size / 1e6:,.1f} MB"
    yield ok("store", f"{path}: {amount}", fix="clew sessions")
    if not current:
        yield note(
            "store",
            "its newest spans are not in the sessions yet; whoever reads it next does that",
            "summaries",
            "clew sessions",
        )


def _not_writable(path: Path) -> str:
    """Return why no span can be added to the store at *path*, or ``""``."""
    if path.is_dir():
        return f"{path} is a folder, not a file"
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        return f"{path} cannot be made: {folder} is no folder"
    for place in (folder, path):
        if place.exists() and not os.access(place, os.W_OK):
            return f"{place} cannot be written by this user, so no span can be kept in {path}"
    return ""


def _files(path: Path) -> list[Path]:
    """Return the files that the store consists of."""
    files = (path.with_name(path.name + end) for end in ("", "-wal", "-shm"))
    return [file for file in files if file.is_file()]
