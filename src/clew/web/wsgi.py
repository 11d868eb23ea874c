"""Middleware for WSGI: Flask, Django, Bottle, Pyramid and others.

A WSGI server calls the application, then reads the body that it returned, and closes it. Each of
these steps enters the request's context and leaves it: between two steps the server's thread is not
in the session, and each step can come from another thread.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current

from clew.context.request import remember_request_context
from clew.context.stepping import SteppedContext
from clew.web import feedback
from clew.web.request_ids import IdReader, Ids, RequestSession, Source

__all__ = ["SessionMiddleware"]

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class SessionMiddleware:
    """Runs each request in its session, also while its response is read and closed.

    >>> from clew.web import from_cookie, from_header
    >>> app.wsgi_app = SessionMiddleware(  # doctest: +SKIP
    ...     app.wsgi_app, session=from_header("x-session-id"), user=from_cookie("uid")
    ... )

    Args:
        app: The WSGI application.
        session: Where to find the session's id in a request: ``from_header(...)``,
            ``from_cookie(...)``, ``from_baggage()``, or a function that takes the environ and
            returns the id or None.
        user: Where to find the user's id, likewise.
        fresh: Create a new session for a request without a usable session id.
        response_header: The response header that tells the client the id of a new session.
        feedback_path: A path, such as ``/feedback``, to which pages POST what their users say, as
            JSON: ``{"score": 1, "comment": "..."}``. Without it, there is no such route.
    """

    def __init__(
        self,
        app: "WSGIApplication",
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
            takes_async=False,
        )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Run the application in the session of the request."""
        ids = self._id_reader.read(environ)
        if (
            self._feedback_path is not None
            and environ["REQUEST_METHOD"] == "POST"
            and environ.get("PATH_INFO") == self._feedback_path
        ):
            return _take_feedback(environ, start_response, ids)
        if session_id := self._id_reader.add_fresh_session(ids):
            start_response = _adding_header(
                start_response, self._id_reader.response_header, session_id
            )
        if not ids:
            return self.app(environ, start_response)
        stepped = SteppedContext(get_current())
        stepped.run(RequestSession(ids).__enter__)
        body = stepped.run(_call_app, self.app, environ, start_response)
        return _body_in_context(stepped, body, environ.get("wsgi.file_wrapper"))


def _take_feedback(
    environ: "WSGIEnvironment", start_response: "StartResponse", ids: Ids
) -> Iterable[bytes]:
    """Answer a request that brings feedback."""
    if not feedback.is_json(environ.get("CONTENT_TYPE", "")):
        answer = feedback.NOT_JSON
    else:
        answer = feedback.answer(_body(environ), ids)
    start_response(f"{answer.status.value} {answer.status.phrase}", answer.headers)
    return [answer.body] if answer.body else []


def _body(environ: "WSGIEnvironment") -> bytes:
    """Return the body, or as much of it as shows that it is too large."""
    limit = feedback.MAX_BODY + 1
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit():
        # A longer number would be too large in any case.
        limit = min(limit, int(length[:20]))
    elif not environ.get("wsgi.input_terminated"):
        limit = 0  # Nobody knows where it ends.
    body: bytes = environ["wsgi.input"].read(limit)
    return body


def _call_app(
    app: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Call *app*, and remember the context, which an instrumentation inside may lose."""
    with remember_request_context():
        return app(environ, start_response)


def _body_in_context(
    stepped: SteppedContext, body: Iterable[bytes], file_wrapper: object
) -> Iterable[bytes]:
    """Return *body* so that it is read and closed inside the context."""
    if type(body) in {list, tuple}:  # Reading it runs no code of the application.
        return body
    if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
        # The server knows its own wrapper, and sends the file without reading it.
        with suppress(AttributeError):
            body.close = partial(stepped.run, body.close)  # type: ignore[attr-defined]  # if it has one
        return body
    return _Body(stepped, body)


class _Body:
    """The body of a response, each step of which runs inside the context."""

    __slots__ = ("_body", "_iterator", "_stepped")

    def __init__(self, stepped: SteppedContext, body: Iterable[bytes]) -> None:
        self._stepped = stepped
        self._body = body
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._stepped.run(iter, self._body)
        chunk: bytes = self._stepped.run(self._iterator.__next__)
        return chunk

    def close(self) -> None:
        """Close the body, if it has a ``close`` method."""
        if (close := getattr(self._body, "close", None)) is not None:
            self._stepped.run(close)


def _adding_header(start_response: "StartResponse", name: str, value: str) -> "StartResponse":
    """Return a *start_response* that adds a header, unless the application sets it."""

    def start_with_header(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        if all(key.lower() != name for key, _ in headers):
            headers = [*headers, (name, value)]
        return start_response(status, headers, *error)

    return start_with_header
