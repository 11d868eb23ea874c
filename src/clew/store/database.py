"""Opens the store: an SQLite file that several processes read and write at the same time."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from time import monotonic, sleep

from clew.core.errors import ClewError
from clew.core.install_command import pip_line
from clew.store.moved import log_of, make_file

_APPLICATION = 0x636C6577
"""SQLite's application id of a store: "clew"."""
_MAX_LOG = 4_000_000
"""How many bytes of the log beside the store are kept to be written again, once they are in it."""
_LEAST_SPACE = 500_000
"""With fewer bytes than these a disk counts as full, if SQLite fails on it."""
_IGNORE_ALL = "# Conversations are nobody else's business.\n*\n"


class StoreError(ClewError):
    """A store that cannot be opened, read or written; the message says what to do."""


class StoreMissingError(StoreError):
    """There is no store at this place."""


class OtherStoreError(StoreError):
    """What is there is of a newer release, or of another program: it is never read here."""


class OlderStoreError(StoreError):
    """The store has the form of an older release, and was opened only to be read."""


class EmptyStoreError(OlderStoreError):
    """The store has no form yet, as nothing could be written to it, and was opened to be read."""


def connect(
    path: Path, *, create: bool = False, read_only: bool = False, timeout: float = 5.0
) -> sqlite3.Connection:
    """Open the store at *path*; wait *timeout* seconds for other processes.

    With *create* it is made if it is missing. One of an older release is brought to this one's
    form. Opened *read_only*, it is left as it is, and what it does not contain yet is empty.
    """
    try:
        if path.is_dir():
            message = f"{path} is a folder; name a file with CLEW_STORE"
            raise StoreError(message)
        if create:
            _make_file(path)
        elif not path.is_file():
            message = (
                f"there is no store at {path}; it is made when an application with "
                "instrument_all() runs, or name another file with CLEW_STORE"
            )
            raise StoreMissingError(message)
        if not read_only:
            return _open(path, "mode=rw", timeout)
        try:
            return _open(path, "mode=ro", timeout)
        except sqlite3.OperationalError:
            # SQLite puts files beside it, unless told that nobody writes it. Where that is not
            # possible, as on a disk that is full or read-only, nobody can.
            if _has_log(path) or not (_is_full(path.parent) or _is_read_only(path.parent)):
                raise
            return _open(path, "mode=ro&immutable=1", timeout)
    except (sqlite3.Error, OSError) as error:
        raise explained(path, error) from error


def in_memory() -> sqlite3.Connection:
    """Make an empty store that is in no file, and ends with its connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for script in _migrations():
        for statement in split_statements(script):
            connection.execute(statement)
    return connection


def _open(path: Path, options: str, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        timeout=timeout,
        isolation_level=None,  # Transactions are begun where they are needed.
        check_same_thread=False,  # Whoever has one uses it from one thread at a time.
        uri=True,
    )
    try:
        _prepare(connection, path, read_only="mode=ro" in options, timeout=timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_full(folder: Path) -> bool:
    """Whether there is no space for the files that SQLite puts into *folder*."""
    try:
        return shutil.disk_usage(folder).free < _LEAST_SPACE
    except OSError:
        return False


def _is_read_only(folder: Path) -> bool:
    return folder.is_dir() and not os.access(folder, os.W_OK)


def _has_log(path: Path) -> bool:
    """Whether there is something that was written and is not in the file itself yet."""
    log = log_of(path)
    return log.exists() and log.stat().st_size > 0


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin to write, as soon as no other process does; commit, or undo what was written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has undone it itself after some errors.
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def patience(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Wait inside at most so many *seconds* for other processes."""
    (before,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {min(int(seconds * 1000), before)}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")


def file_size(connection: sqlite3.Connection) -> int:
    """Return the size of the store in bytes, without what is free in it."""
    (size,) = connection.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(size)


def _make_file(path: Path) -> None:
    """Make the file, in a folder that nobody but its owner may read either."""
    folder = path.parent
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            (folder / ".gitignore").write_text(_IGNORE_ALL, "utf-8")
    make_file(path)


def _prepare(
    connection: sqlite3.Connection, path: Path, *, read_only: bool, timeout: float
) -> None:
    for pragma in (
        "synchronous = NORMAL",
        "secure_delete = ON",
        "foreign_keys = OFF",
        f"journal_size_limit = {_MAX_LOG}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    pending = _pending(connection, path)
    if not pending:
        return
    if read_only and len(pending) == len(_migrations()):
        message = (
            f"the store {path} is empty; it is filled when an application with instrument_all() "
            "runs and there is space for it, or name another file with CLEW_STORE"
        )
        raise EmptyStoreError(message)
    if read_only:
        message = (
            f"{path} was written by an older release of clew, and may not be brought forward here; "
            "copy it to where it may be written, and open the copy"
        )
        raise OlderStoreError(message)
    if len(pending) == len(_migrations()):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_write_ahead_log(connection, timeout)
    with transaction(connection):
        for number, script in _pending(connection, path):  # Another process may have done it now.
            for statement in split_statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _pending(connection: sqlite3.Connection, path: Path) -> list[tuple[int, str]]:
    """Return the migrations that this store has not seen; raise an error if it is not one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION:
        message = f"{path} is a database of another program; name another file with CLEW_STORE"
        raise OtherStoreError(message)
    migrations = _migrations()
    if version > len(migrations):
        message = (
            f"{path} was written by a newer release of clew (its form is number {version}, this "
            f"release knows {len(migrations)}); install that one: {pip_line(upgrade=True)}"
        )
        raise OtherStoreError(message)
    return list(enumerate(migrations, 1))[version:]


@cache
def _migrations() -> list[str]:
    folder = files("clew.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in names]


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of *script*; `executescript` would commit before them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _use_write_ahead_log(connection: sqlite3.Connection, timeout: float) -> None:
    """Let readers read while another process writes. This is kept in the file."""
    until = monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # Another process is doing it; SQLite does not wait here.
            if monotonic() > until:
                raise
            sleep(0.01)
        else:
            return


def is_busy(error: BaseException) -> bool:
    """Whether *error* says that another process is using the store, which passes."""
    known = error.__cause__ if isinstance(error, StoreError) else error
    return isinstance(known, sqlite3.OperationalError) and _says_busy(str(known))


def _says_busy(reason: str) -> bool:
    return "locked" in reason or "busy" in reason


def explained(path: Path | str, error: Exception) -> StoreError:
    """Return an error that says what can be done about *error*."""
    reason = str(error).partition("\n")[0]
    elsewhere = "or name another file with CLEW_STORE"
    if isinstance(error, OSError):
        return StoreError(
            f"the store {path} cannot be made: {error.strerror or reason}; "
            "name another file with CLEW_STORE"
        )
    if "not a database" in reason or "malformed" in reason:
        return StoreError(
            f"{path} is damaged, or is no store ({reason}); move it away, {elsewhere}"
        )
    if _says_busy(reason):
        return StoreError(f"the store {path} is being written by another process ({reason})")
    return StoreError(f"{_of_disk(Path(path), reason)}, {elsewhere}")


def _of_disk(path: Path, reason: str) -> str:
    """Return what the disk does not do, and what can be done about that."""
    # SQLite says the same of a disk that is broken, full or read-only.
    is_refused = "I/O error" in reason or "unable to open" in reason
    if "full" in reason or (is_refused and _is_full(path.parent)):
        return f"there is no space for {path} ({reason}); free some"
    if "readonly" in reason:
        return f"{path} may not be written ({reason}); make it writable"
    if is_refused and _is_read_only(path.parent):
        return (
            f"the folder of {path} may not be written ({reason}), and there have to be files "
            "beside it; make it writable"
        )
    return f"the store {path} cannot be used: {reason}; repair the disk"
