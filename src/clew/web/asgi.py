"""Middleware for ASGI: FastAPI, Starlette, Litestar, Quart, Django and others."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from inspect import isawaitable
from typing import Any

from clew.context.api import current
from clew.context.request import ContextOfServer, remember_request_context
from clew.core.containment import contain
from clew.web import feedback
from clew.web.request_ids import READING_IDS, IdReader, Ids, RequestSession, Source, add_id

__all__ = ["SessionMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_RESPONSE_STARTS = frozenset(
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
        session: Where to find the session's id in a request: ``from_header(...)``,
            ``from_cookie(...)``, ``from_baggage()``, or a function, also an asynchronous one, that
            takes the scope and returns the id or None.
        user: Where to find the user's id, likewise.
        fresh: Create a new session for a request without a usable session id.
        response_header: The response header that tells the client the id of a new session.
        feedback_path: A path, such as ``/feedback``, to which pages POST what their users say, as
            JSON: ``{"score": 1, "comment": "..."}``. Without it, there is no such route.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        session: Source | None = None,
        user: Source | None = None,
        fresh: bool = False,
        response_header: str = "x-session-id",
        feedback_path: str | None = None,
    ) -> None:
        self.app = app
        self._feedback_path = feedback.checked_path(feedback_path)
        self._id_reader = IdReader(
            session=session,
            user=user,
            fresh=fresh,
            response_header=response_header,
            takes_async=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application in the session of the request."""
        if scope["type"] not in {"http", "websocket"}:  # The application's lifespan.
            await self.app(scope, receive, send)
            return
        ids = await self._read(scope)
        app = self.app
        if self._feedback_path is not None and _is_feedback(scope, self._feedback_path):
            app = partial(_take_feedback, ids)
        elif session_id := self._id_reader.add_fresh_session(ids):
            send = _adding_header(
                send, self._id_reader.response_header.encode(), session_id.encode()
            )
        if not ids:
            await app(scope, receive, send)
            return
        receive, send = _outside(receive, send)
        with RequestSession(ids), remember_request_context():
            await app(scope, receive, send)

    async def _read(self, scope: Scope) -> Ids:
        ids: Ids = {}
        for key, source in self._id_reader.sources.items():
            try:
                found = source(scope)
                if isawaitable(found):
                    found = await found
                add_id(ids, key, found)
            except Exception:  # The boundary to the application, and its own source
                contain(READING_IDS)
        return ids


def _outside(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return both so that a server does not start another request of a connection in this session.

    Where ids have come with the request, the spans that a middleware around this one makes of
    messages need those of the block instead. uvicorn's requests are kept apart anyway.
    """
    try:
        if current():
            return receive, send
        server = ContextOfServer()
        return server.outside(receive), server.outside(send)
    except Exception:
        contain("keeping the requests of a connection apart")
        return receive, send


def _is_feedback(scope: Scope, path: str) -> bool:
    """Whether a request brings feedback. Others to the same path are the application's."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    # Where an application is mounted, older servers leave the prefix out, and others do not.
    return path in {scope["path"], scope["path"].removeprefix(scope.get("root_path", ""))}


async def _take_feedback(ids: Ids, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that brings feedback; its body is read in its session, as any other's."""
    kinds = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    if len(kinds) != 1 or not feedback.is_json(kinds[0].decode("latin-1")):
        answer = feedback.NOT_JSON
    else:
        body = await _body(receive)
        if body is None:
            return
        answer = feedback.answer(body, ids)
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    start = {"type": "http.response.start", "status": answer.status.value, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


async def _body(receive: Receive) -> bytes | None:
    """Return the body, or as much of it as shows that it is too large; None if the client left."""
    body = b""
    while len(body) <= feedback.MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _adding_header(send: Send, name: bytes, value: bytes) -> Send:
    """Return a *send* that adds a header to the response, unless the application sets it."""

    async def send_with_header(message: Message) -> None:
        if message["type"] in _RESPONSE_STARTS:
            headers = list(message.get("headers") or ())
            if all(key.lower() != name for key, _ in headers):
                message = {**message, "headers": [*headers, (name, value)]}
        await send(message)

    return send_with_header
