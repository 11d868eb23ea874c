"""How large a store may be, and how old what is in it."""

import sqlite3
from time import time_ns

from clew.core import settings
from clew.store.database import file_size

_DAY = 24 * 60 * 60 * 10**9


def max_bytes() -> float:
    """Return how large a store may be."""
    return settings.STORE_MAX_MB.read() * 1e6


def oldest_ns() -> int | None:
    """Return the moment before which nothing is kept; None if everything is."""
    days = settings.STORE_MAX_DAYS.read()
    return None if days is None else time_ns() - int(days * _DAY)


def is_too_large(connection: sqlite3.Connection) -> bool:
    """Whether there is more in the store than there may be."""
    return file_size(connection) > max_bytes()


def may_be_exceeded(connection: sqlite3.Connection) -> bool:
    """Whether the store is too large, or something in it may be too old; this takes no time."""
    if is_too_large(connection):
        return True
    if (oldest := oldest_ns()) is None:
        return False
    first = "SELECT end_ns < ? FROM span WHERE id = (SELECT min(id) FROM span)"
    row = connection.execute(first, (oldest,)).fetchone()
    return row is not None and bool(row[0])
