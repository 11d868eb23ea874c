"""The route through which a page in the browser sends what its user says, for both middlewares.

A page posts JSON: ``{"score": 1}``, and what else `clew.feedback` takes of a user. Only JSON is
accepted: a form of another site cannot send that, and a script of another site only where the
application allows it to. Nothing that a client sends raises an error here.
"""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from clew.context.api import current
from clew.context.ids import SESSION_ID, USER_ID, external_id
from clew.core.containment import contain
from clew.core.errors import ClewError, ConfigurationError
from clew.spans.feedback import feedback
from clew.web.request_ids import Ids, RequestSession

MAX_BODY = 64 * 1024
"""Bytes of a request: enough for a long comment."""
_FIELDS = ("score", "label", "comment", "name", "session_id", "trace_id", "span_id")


class Answer(NamedTuple):
    """What the client is answered."""

    status: HTTPStatus
    body: bytes = b""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers of the response."""
        if not self.body:
            return [] if self.status is HTTPStatus.NO_CONTENT else [("content-length", "0")]
        return [("content-type", "application/json"), ("content-length", str(len(self.body)))]


def _refusal(status: HTTPStatus, reason: str) -> Answer:
    return Answer(status, json.dumps({"error": reason}).encode())


TOO_LARGE = _refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BODY:,} bytes"
)
NOT_JSON = _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send it as content-type: application/json")


def checked_path(path: object) -> str | None:
    """Return the path of the route, which is None if there is none."""
    if path is None:
        return None
    if not isinstance(path, str):
        message = f"feedback_path must be a string, not {type(path).__name__}"
        raise ConfigurationError(message)
    if not path.startswith("/") or "?" in path or "#" in path:
        message = f'feedback_path={path!r} is no path; write "/feedback"'
        raise ConfigurationError(message)
    return path


def is_json(content_type: str) -> bool:
    """Whether the header of a request says that its body is JSON."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


def answer(body: bytes, ids: Ids) -> Answer:
    """Record what a request with these *ids* says, and return the answer."""
    try:
        return _answer(body, ids)
    except Exception:
        contain("recording the feedback of a request")
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)


def _answer(body: bytes, ids: Ids) -> Answer:
    if len(body) > MAX_BODY:
        return TOO_LARGE
    try:
        given = _given(body)
        session = _session(given.pop("session_id", None), ids)
        user = {USER_ID: ids[USER_ID]} if USER_ID in ids else {}
        with RequestSession({SESSION_ID: session, **user}):
            feedback(**given, session_id=session)
    except (_RefusedError, ClewError) as error:
        return _refusal(HTTPStatus.BAD_REQUEST, str(error))
    return Answer(HTTPStatus.NO_CONTENT)


class _RefusedError(Exception):
    """What the client sent cannot be used; the message says why."""


def _given(body: bytes) -> dict[str, Any]:
    """Return what the client says; what is null is left out."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        message = f"the body is no JSON: {error}"
        raise _RefusedError(message) from None
    if not isinstance(said, dict):
        message = 'send a JSON object, such as {"score": 1}'
        raise _RefusedError(message)
    if unknown := said.keys() - set(_FIELDS):
        message = f"{min(unknown)!r:.80} is not known; there are {', '.join(_FIELDS)}"
        raise _RefusedError(message)
    return {key: value for key, value in said.items() if value is not None}


def _session(given: object, ids: Ids) -> str:
    """Return the session that the client names, or that of its request."""
    if given is not None:
        if (usable := external_id(given)) is None:
            message = "session_id is no id: it must be printable text of at most 256 characters"
            raise _RefusedError(message)
        return usable
    session = ids.get(SESSION_ID) or current().session_id
    if session is None:
        message = "the request is in no session: send session_id"
        raise _RefusedError(message)
    return session
