"""Keeps httpcore from waiting for itself for ever, with clew or without (encode/httpcore#990).

Its pool closes a stream that nobody reads any more under the lock that it may hold already, in
the same thread, when the collector runs. An abandoned stream of OpenAI's is such a one.
"""

from threading import get_ident
from typing import Any

from httpcore._sync import connection_pool


class WouldWaitForItselfError(RuntimeError):
    """The thread has this lock already. The connection is not used again."""


class Lock(connection_pool.ThreadLock):
    """httpcore's lock, which refuses what would never end."""

    def __init__(self) -> None:
        super().__init__()
        self._holder = 0

    def __enter__(self) -> Any:
        if self._holder == get_ident():
            raise WouldWaitForItselfError
        super().__enter__()
        self._holder = get_ident()
        return self

    def __exit__(self, *_: object) -> None:
        self._holder = 0
        super().__exit__()


def mend() -> None:
    """Give every connection pool that is made from now on such a lock."""
    vars(connection_pool)["ThreadLock"] = Lock
