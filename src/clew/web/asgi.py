"""The session of a request, for ASGI: FastAPI, Starlette, Litestar, Quart, Django and others."""

from collections.abc import Awaitable, Callable, MutableMapping
from inspect import isawaitable
from typing import Any

from clew.context.request import served
from clew.core.containment import contain
from clew.web.request_ids import READING, Identifying, Ids, InSession, Source, admit

__all__ = ["SessionMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPENS_A_RESPONSE = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)


class SessionMiddleware:
    """Runs each request, and each websocket connection, in its session.

    >>> from clew.web import from_cookie, from_header
    >>> app = SessionMiddleware(  # doctest: +SKIP
    ...     app, session=from_header("x-session-id"), user=from_cookie("uid")
    ... )

    Args:
        app: The ASGI application.
        session: Where the session's id stands in a request: ``from_header(...)``,
            ``from_cookie(...)``, ``from_baggage()``, or a function, also an asynchronous one, that
            takes the scope and returns the id or None.
        user: Where the user's id stands, likewise.
        fresh: Make a new session for a request that names none that can be used.
        response_header: The response header that tells the client of a session made for it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        session: Source | None = None,
        user: Source | None = None,
        fresh: bool = False,
        response_header: str = "x-session-id",
    ) -> None:
        self.app = app
        self._identifying = Identifying(
            session=session,
            user=user,
            fresh=fresh,
            response_header=response_header,
            takes_async=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application in the session that *scope* names."""
        if scope["type"] not in {"http", "websocket"}:  # The application's lifespan.
            await self.app(scope, receive, send)
            return
        ids = await self._read(scope)
        if made := self._identifying.renew(ids):
            send = _announcing(send, self._identifying.response_header.encode(), made.encode())
        if not ids:
            await self.app(scope, receive, send)
            return
        with InSession(ids), served():
            await self.app(scope, receive, send)

    async def _read(self, scope: Scope) -> Ids:
        ids: Ids = {}
        for key, source in self._identifying.sources.items():
            try:
                found = source(scope)
                if isawaitable(found):
                    found = await found
                admit(ids, key, found)
            except Exception:  # The boundary to the application, and its own source
                contain(READING)
        return ids


def _announcing(send: Send, name: bytes, value: bytes) -> Send:
    """Return *send* with one more header on the response, unless the application sets it."""

    async def announce(message: Message) -> None:
        if message["type"] in _OPENS_A_RESPONSE:
            headers = list(message.get("headers") or ())
            if all(key.lower() != name for key, _ in headers):
                message = {**message, "headers": [*headers, (name, value)]}
        await send(message)

    return announce
