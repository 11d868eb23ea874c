"""Claims: which process evaluates which session, so that several share the work.

A claim is a lease: whoever holds it renews it, and if that process is gone, another one takes it.
"""

import logging
import os
import platform
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from time import monotonic, time_ns

from clew.store.database import StoreError, connect
from clew.store.fork_guard import no_fork

logger = logging.getLogger("clew")

LEASE_SECONDS = 60.0
RENEWALS = 4
"""How often a lease is renewed before it would end."""

_LONG_AGO_NS = 24 * 3600 * 10**9


class Claims:
    """The claims of one run, which are renewed until it is closed."""

    def __init__(self, path: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self.owner = new_owner()
        self._path = path
        self._lease_seconds = lease_seconds
        self._closed = Event()
        self._renewing = Thread(target=self._renew, name="clew-claims", daemon=True)
        self._renewing.start()

    def take(
        self, connection: sqlite3.Connection, session_id: str, names: Iterable[str]
    ) -> set[str]:
        """Claim a session for evaluators; return for which of them nobody else has.

        It is called in a transaction.
        """
        until = time_ns() + int(self._lease_seconds * 1e9)
        taken = set()
        for name in names:
            if self.may_take(connection, session_id, name):
                connection.execute(
                    "INSERT OR REPLACE INTO evaluation_claim VALUES (?, ?, ?, ?)",
                    (session_id, name, self.owner, until),
                )
                taken.add(name)
        return taken

    def may_take(self, connection: sqlite3.Connection, session_id: str, name: str) -> bool:
        """Whether a session is not claimed for an evaluator, or by a process that is gone."""
        row = connection.execute(
            "SELECT owner, until_ns FROM evaluation_claim WHERE session_id = ? AND name = ?",
            (session_id, name),
        ).fetchone()
        return row is None or row[0] == self.owner or row[1] < time_ns() or is_gone(row[0])

    def release(self, connection: sqlite3.Connection, session_id: str, name: str) -> None:
        """Give a claim back."""
        connection.execute(
            "DELETE FROM evaluation_claim WHERE session_id = ? AND name = ? AND owner = ?",
            (session_id, name, self.owner),
        )

    def sweep(self, connection: sqlite3.Connection) -> None:
        """Delete claims that nobody has asked for since they ended long ago."""
        connection.execute(
            "DELETE FROM evaluation_claim WHERE until_ns < ?", (time_ns() - _LONG_AGO_NS,)
        )

    def stop(self) -> None:
        """Renew no claims any more."""
        self._closed.set()
        self._renewing.join()

    def close(self, connection: sqlite3.Connection) -> None:
        """Give all claims back, and renew none any more.

        Where the store cannot be written now they end by themselves, and what was judged is kept.
        """
        self.stop()
        try:
            connection.execute("DELETE FROM evaluation_claim WHERE owner = ?", (self.owner,))
        except sqlite3.OperationalError as error:
            logger.warning("clew: the claims of sessions cannot be given back now: %s", error)

    def _renew(self) -> None:
        renewed = monotonic()
        while not self._closed.wait(self._lease_seconds / RENEWALS):
            until = time_ns() + int(self._lease_seconds * 1e9)
            try:
                with no_fork(), closing(connect(self._path)) as connection:
                    connection.execute(
                        "UPDATE evaluation_claim SET until_ns = ? WHERE owner = ?",
                        (until, self.owner),
                    )
            except (sqlite3.Error, StoreError) as error:
                # On a busy store the next time is soon enough, while half of the lease is left.
                is_late = monotonic() - renewed > self._lease_seconds / 2
                level = logging.WARNING if is_late else logging.DEBUG
                logger.log(level, "clew: the claims of sessions cannot be renewed now: %s", error)
            else:
                renewed = monotonic()


def new_owner() -> str:
    """Return a name for a run in this process, from which others can tell whether it is there."""
    return f"{_place()}/{os.getpid()}/{token_hex(4)}"


def _place() -> str:
    """Return the machine, and of a container its own numbers of processes."""
    try:
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # Not Linux.
        numbers = ""
    return f"{platform.node()}/{numbers}".replace("/", "|")


def is_gone(owner: str) -> bool:
    """Whether a process on this machine has ended without giving back what it had claimed."""
    place, _, rest = owner.partition("/")
    number = rest.partition("/")[0]
    if os.name != "posix" or place != _place() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)  # Asks whether it is there.
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
