"""The session of a request, for WSGI: Flask, Django, Bottle, Pyramid and others.

A WSGI server calls the application, reads what it returned after the call, and closes it. Each of
these steps runs in the request's context, and leaves it: between two steps the server's thread
knows nothing of the session, and it makes no difference from which thread a step comes.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current

from clew.context.request import served
from clew.context.stepping import Held
from clew.web.request_ids import Identifying, InSession, Source

__all__ = ["SessionMiddleware"]

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class SessionMiddleware:
    """Runs each request in its session, the reading and the closing of its response included.

    >>> from clew.web import from_cookie, from_header
    >>> app.wsgi_app = SessionMiddleware(  # doctest: +SKIP
    ...     app.wsgi_app, session=from_header("x-session-id"), user=from_cookie("uid")
    ... )

    Args:
        app: The WSGI application.
        session: Where the session's id stands in a request: ``from_header(...)``,
            ``from_cookie(...)``, ``from_baggage()``, or a function that takes the environ and
            returns the id or None.
        user: Where the user's id stands, likewise.
        fresh: Make a new session for a request that names none that can be used.
        response_header: The response header that tells the client of a session made for it.
    """

    def __init__(
        self,
        app: "WSGIApplication",
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
            takes_async=False,
        )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Run the application in the session that *environ* names."""
        ids = self._identifying.read(environ)
        if made := self._identifying.renew(ids):
            start_response = _announcing(start_response, self._identifying.response_header, made)
        if not ids:
            return self.app(environ, start_response)
        held = Held(get_current())
        held.run(InSession(ids).__enter__)
        body = held.run(_called, self.app, environ, start_response)
        return _within(held, body, environ.get("wsgi.file_wrapper"))


def _called(
    app: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Call *app*, within which an instrumentation may lose the context."""
    with served():
        return app(environ, start_response)


def _within(held: Held, body: Iterable[bytes], file_wrapper: object) -> Iterable[bytes]:
    """Return *body* as something that is read and closed inside the held context."""
    if type(body) in {list, tuple}:  # Nothing of the application runs while it is read.
        return body
    if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
        # The server knows its own wrapper, and sends the file without reading it.
        with suppress(AttributeError):
            body.close = partial(held.run, body.close)  # type: ignore[attr-defined]  # if it has one
        return body
    return _Body(held, body)


class _Body:
    """The body of a response, each step of which runs inside the held context."""

    __slots__ = ("_body", "_held", "_iterator")

    def __init__(self, held: Held, body: Iterable[bytes]) -> None:
        self._held = held
        self._body = body
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._held.run(iter, self._body)
        chunk: bytes = self._held.run(self._iterator.__next__)
        return chunk

    def close(self) -> None:
        """Close the body, if it is one that has to be closed."""
        if (close := getattr(self._body, "close", None)) is not None:
            self._held.run(close)


def _announcing(start_response: "StartResponse", name: str, value: str) -> "StartResponse":
    """Return *start_response* with one more header, unless the application sets it."""

    def announce(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        if all(key.lower() != name for key, _ in headers):
            headers = [*headers, (name, value)]
        return start_response(status, headers, *error)

    return announce
