"""What the two middlewares have in common: from the sources to the ids of one request."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from opentelemetry.trace import get_current_span

from clew.context.api import current, using_attributes
from clew.context.identity import SESSION_ID, USER_ID, admitted_id, carried_ids
from clew.context.request_span import said_by_the_application
from clew.core.containment import contain
from clew.core.errors import ConfigurationError
from clew.web.sources import Baggage, Request, header_name

Source = Callable[[Any], Any]
"""Takes the ASGI scope or the WSGI environ and returns an id, or None."""

Ids = dict[str, str]
"""What is known of one request, by the names of the attributes."""

READING = "reading the ids of a request"


class Identifying:
    """Reads session and user off a request, and opens the block that it runs in."""

    def __init__(
        self,
        *,
        session: Source | None,
        user: Source | None,
        fresh: bool,
        response_header: str,
        takes_async: bool,
    ) -> None:
        if session is None and user is None and not fresh:
            message = (
                "SessionMiddleware has nowhere to read an id from: give it a source, "
                'as in session=from_header("x-session-id"), or fresh=True'
            )
            raise ConfigurationError(message)
        self.sources: dict[str, Source] = {}
        for argument, key, source in (("session", SESSION_ID, session), ("user", USER_ID, user)):
            if source is not None:
                self.sources[key] = _checked(argument, key, source, takes_async=takes_async)
        self._fresh = fresh
        self.response_header = header_name(response_header)

    def read(self, request: Request) -> Ids:
        """Return the ids that *request* names. What cannot be used is dropped and counted."""
        ids: Ids = {}
        for key, source in self.sources.items():
            try:
                found = source(request)
                admit(ids, key, found)
            except Exception:  # The boundary to the application, and its own source
                contain(READING)
        return ids

    def renew(self, ids: Ids) -> str | None:
        """Make a new session where there is none and one is wanted; return it."""
        try:
            if not self._fresh or SESSION_ID in ids or current().session_id is not None:
                return None
            ids[SESSION_ID] = uuid4().hex
            return ids[SESSION_ID]
        except Exception:
            contain("making a session for a request")
            return None


def admit(ids: Ids, key: str, found: object) -> None:
    """Add what a source has found to *ids*, if it can be used."""
    if found is not None and (usable := admitted_id(found)) is not None:
        ids[key] = usable


class InSession:
    """The block in which a request runs. A fault in it leaves the request without a session."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._block: using_attributes | None = None

    def __enter__(self) -> None:
        """Enter the block, and stamp the span that was opened for the request."""
        try:
            session_id, user_id = self._ids.get(SESSION_ID, ""), self._ids.get(USER_ID, "")
            _stamp_current_span(carried_ids(session_id or None, user_id or None).attributes)
        except Exception:
            contain("stamping the span of a request")
        try:
            block = using_attributes(session_id=session_id, user_id=user_id)
            block.__enter__()
            self._block = block
        except Exception:
            contain("entering the session of a request")

    def __exit__(self, *error: object) -> None:
        """Leave the block, if it was entered."""
        try:
            if self._block is not None:
                self._block.__exit__(None, None, None)
        except Exception:
            contain("leaving the session of a request")


def _stamp_current_span(attributes: Mapping[str, Any]) -> None:
    """Set what the current span does not say.

    A server's own span, which its instrumentation opens before any middleware runs, knows nothing
    of the request's session.
    """
    span = get_current_span()
    if not span.is_recording():
        return
    said = said_by_the_application(span)
    for key, value in attributes.items():
        if key not in said:
            span.set_attribute(key, value)


def _checked(argument: str, key: str, source: object, *, takes_async: bool) -> Source:
    if not callable(source):
        message = (
            f"{argument} must be a source, not {type(source).__name__}: "
            f'from_header("x-{argument}-id"), from_cookie(...), from_baggage() or a function'
        )
        raise ConfigurationError(message)
    if isinstance(source, Baggage) and source.key is None:
        return Baggage(key)
    if not takes_async and inspect.iscoroutinefunction(source):
        message = f"{argument} is an asynchronous function, which WSGI has no way to await"
        raise ConfigurationError(message)
    return source
