"""What a person says about a session or a turn is saved, and the page it was said on comes back."""

import sqlite3
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.core.errors import ClewError
from clew.evaluations import EvaluationError
from clew.sessions.store import SessionNotFoundError
from clew.store.database import StoreError
from clew.viewer import ratings
from clew.viewer.forms import OldPageError, RefusedError, read_form
from clew.viewer.parts import parse_turn_key
from clew.viewer.ratings import Key, Ratings
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import href, page

_YEAR = 365 * 24 * 60 * 60
_FIELDS = ("thumbs", "label", "note", "who", "knew", "was_label", "was_note")
_MOST_DIGITS = 8


async def evaluate(request: Request) -> Response:
    """Answer a form that was sent to ``/evaluations``."""
    fields: dict[str, str] = {}
    try:
        fields = await read_form(request)
        who = ratings.name_of(fields)
        answer = await run_in_threadpool(_save, request, fields, who)
    except (ClewError, LookupError, sqlite3.Error) as error:
        return _not_saved(request, fields, error)
    if who is not None:
        if who:
            answer.set_cookie(
                ratings.COOKIE,
                ratings.as_cookie(who),
                max_age=_YEAR,
                httponly=True,
                samesite="strict",
            )
        else:
            answer.delete_cookie(ratings.COOKIE, httponly=True, samesite="strict")
    return answer


def _save(request: Request, fields: dict[str, str], who: str | None) -> Response:
    """Save what was said, and return the page or the part of it that shows it."""
    query = request.query_params
    session_id, key = query.get("session", ""), _key(query.get("turn", ""))
    number, start = (_number(query.get(name, "")) for name in ("number", "start"))
    before = ratings.person(request)
    now = before if who is None else who
    with readers_of(request).lend() as reader:
        _must_be_there(reader, session_id, key)
        ratings.save(reader.sessions, session_id, key, (before, now), fields)
        if query.get("part") != "1":
            # Where a page ends depends on how long it takes, so that it is asked for the turn.
            at = f"#turn-{number}" if key else "#rating"
            shown = (number if key else 0) or (start if start > 1 else None)
            address = href("/session", id=session_id, turn=shown)
            return RedirectResponse(f"{address}{at}", HTTPStatus.SEE_OTHER)
        token = request.app.state.form_token
        mine = Ratings(reader.sessions, session_id, now, token, max(1, start))
        if key:
            mine.read([key[0]])
        said = mine.of(key, number)
    return page(request, "evaluations.html", said=said)


def _must_be_there(reader: Reader, session_id: str, key: Key) -> None:
    """Raise an error if there is no such session, or no such turn in it."""
    reader.sessions.get(session_id)
    if key is None:
        return
    query = "SELECT 1 FROM turn WHERE trace_id = ? AND session_id = ? AND root_id = ?"
    if not reader.rows(query, (key[0], session_id, key[1])):
        message = f"there is no such turn in session {session_id!r} any more"
        raise SessionNotFoundError(message)


def _key(text: str) -> Key:
    return parse_turn_key(text) if text else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _not_saved(request: Request, fields: dict[str, str], error: Exception) -> Response:
    """Say why nothing was saved, with what was written, so that it can be sent again."""
    status, again = HTTPStatus.SERVICE_UNAVAILABLE, True
    if isinstance(error, OldPageError):
        status, fields = error.status, error.fields
    elif isinstance(error, RefusedError):
        status, again = error.status, False
    elif isinstance(error, EvaluationError):
        status = HTTPStatus.BAD_REQUEST
    elif isinstance(error, LookupError):
        status, again = HTTPStatus.NOT_FOUND, False
    elif not isinstance(error, StoreError):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    message = str(error) if isinstance(error, ClewError | LookupError) else f"SQLite: {error}"
    query = [it for it in parse_qsl(request.url.query) if it[0] != "part"]
    return page(
        request,
        "not_saved.html",
        status=status,
        message=message,
        fields={name: fields[name] for name in _FIELDS if name in fields},
        again=again,
        action=href("/evaluations", **dict(query)),
        back=href("/session", id=request.query_params.get("session", "")),
        token=request.app.state.form_token,
    )
