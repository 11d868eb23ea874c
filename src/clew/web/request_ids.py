"""Reads the ids of a request and runs it in their session, for both middlewares."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from opentelemetry.trace import get_current_span

from clew.context.api import current, using_attributes
from clew.context.dropped_sessions import is_of_dropped_session
from clew.context.ids import SESSION_ID, USER_ID, external_id, id_attributes
from clew.context.request_span import application_attributes
from clew.core.containment import contain
from clew.core.errors import ConfigurationError
from clew.web.sources import Baggage, Request, header_name

Source = Callable[[Any], Any]
"""A function that takes the ASGI scope or the WSGI environ and returns an id, or None."""

Ids = dict[str, str]
"""The ids of one request, by the names of the span attributes."""

READING_IDS = "reading the ids of a request"


class IdReader:
    """Reads the session and the user of a request from the configured sources."""

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
                self.sources[key] = _checked_source(argument, key, source, takes_async=takes_async)
        self._fresh = fresh
        self.response_header = header_name(response_header)

    def read(self, request: Request) -> Ids:
        """Return the ids in *request*. What cannot be used is dropped and counted."""
        ids: Ids = {}
        for key, source in self.sources.items():
            try:
                found = source(request)
                add_id(ids, key, found)
            except Exception:  # The boundary to the application, and its own source
                contain(READING_IDS)
        return ids

    def add_fresh_session(self, ids: Ids) -> str | None:
        """Add a new session to *ids* if there is none and ``fresh`` is on; return its id."""
        try:
            if not self._fresh or SESSION_ID in ids or current().session_id is not None:
                return None
            ids[SESSION_ID] = uuid4().hex
            return ids[SESSION_ID]
        except Exception:
            contain("making a session for a request")
            return None


def add_id(ids: Ids, key: str, found: object) -> None:
    """Add the id that a source has *found* to *ids*, if it can be used."""
    if found is not None and (usable := external_id(found)) is not None:
        ids[key] = usable


class RequestSession:
    """The block in which a request runs. If clew fails, the request runs without a session."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._block: using_attributes | None = None

    def __enter__(self) -> None:
        """Enter the block, and set the ids on the span that was started for the request."""
        try:
            session_id, user_id = self._ids.get(SESSION_ID, ""), self._ids.get(USER_ID, "")
            _stamp_current_span(id_attributes(session_id or None, user_id or None).attributes)
        except Exception:
            contain("setting the ids on the span of a request")
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
    """Set those *attributes* on the current span that it does not have.

    An instrumentation starts the span of a server before any middleware runs, without the session.
    """
    span = get_current_span()
    if not span.is_recording() or is_of_dropped_session(attributes):
        return
    own = application_attributes(span)
    for key, value in attributes.items():
        if key not in own:
            span.set_attribute(key, value)


def _checked_source(argument: str, key: str, source: object, *, takes_async: bool) -> Source:
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
