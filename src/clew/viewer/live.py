"""Tells pages that the store has changed, by server-sent events."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from time import time_ns

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from clew.core.errors import ClewError
from clew.viewer.readers import Reader, Readers

_SECONDS = 0.7
"""Between two looks at the store. One is shared by all pages that listen."""
_QUIET_SECONDS = 15.0
"""After which a comment is sent, so that a browser that has gone is noticed."""


class Changes:
    """Counts the changes of the store, and tells whoever listens.

    A page contains the number up to which it shows the changes. So it is told at once of what has
    changed since, also when the server was started anew meanwhile.
    """

    def __init__(self, readers: Readers) -> None:
        self.number = time_ns() // 10**6
        self._readers = readers
        self._reader: Reader | None = None
        self._seen: tuple[object, ...] = ()
        self._listeners: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to look at the store."""
        self._seen = self._look()
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """End all streams."""
        self._closing = True
        self._tell()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def events(self, seen: int | None) -> AsyncIterator[str]:
        """Yield an event whenever the number is another one than *seen*."""
        news = asyncio.Event()
        self._listeners.add(news)
        seen = self.number if seen is None else seen
        try:
            yield "retry: 2000\n\n"
            while not self._closing:
                if self.number != seen:
                    seen = self.number
                    yield f"event: changed\nid: {seen}\ndata: {seen}\n\n"
                try:
                    await asyncio.wait_for(news.wait(), _QUIET_SECONDS)
                except TimeoutError:
                    yield ": nothing new\n\n"
                news.clear()
        finally:
            self._listeners.discard(news)

    def _tell(self) -> None:
        for news in self._listeners:
            news.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            seen = await run_in_threadpool(self._look)
            if seen != self._seen:
                self._seen = seen
                self.number += 1
                self._tell()

    def _look(self) -> tuple[object, ...]:
        """Return what is different after a change."""
        try:
            if self._reader is None or not self._readers.is_current(self._reader):
                if self._reader is not None:
                    self._reader.close()
                    self._reader = None
                self._reader = self._readers.open()
            return (self._reader.identity, self._reader.version())
        except (ClewError, sqlite3.Error):
            return ("no store",)


async def events(request: Request) -> Response:
    """Answer a request to ``/events``."""
    if request.method == "HEAD":  # A stream would never end, and nothing of it would be sent.
        return Response(media_type="text/event-stream")
    changes: Changes = request.app.state.changes
    text = request.headers.get("last-event-id") or request.query_params.get("seen", "")
    seen = int(text) if text.isdecimal() and len(text) < 20 else None
    return StreamingResponse(changes.events(seen), media_type="text/event-stream")
