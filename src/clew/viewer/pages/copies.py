"""A session or a turn to take away: as JSON, as a pytest module, in deepeval's form.

What is sent is made turn by turn, so that a long session needs little memory, and no reader of the
store waits for a slow browser.
"""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from clew.core.errors import ConfigurationError
from clew.sessions.model import Turn
from clew.sessions.session import Session
from clew.viewer import json_files
from clew.viewer.parts import parse_turn_key
from clew.viewer.pytest_file import pytest_module
from clew.viewer.readers import Readers, readers_of
from clew.viewer.turn_list import turn_rows

_JSON, _TEXT = "application/json", "text/plain"


def session_json(request: Request) -> Response:
    """Answer a request to a session as JSON."""
    form = _form(request)
    session, turns = _session(request)
    if form == "deepeval":
        return _sent(json_files.deepeval_json(session.id, session.user_id, turns), _JSON)
    return _sent(json_files.session_json(session, turns), _JSON)


def session_py(request: Request) -> Response:
    """Answer a request to a session as a pytest module."""
    session, turns = _session(request)
    return _sent(pytest_module(session.id, session.first, turns), _TEXT)


def turn_json(request: Request) -> Response:
    """Answer a request to a turn as JSON."""
    form = _form(request)
    turn = _turn(request)
    if form == "deepeval":
        return _sent(json_files.deepeval_json(turn.session_id, turn.user_id, [turn]), _JSON)
    return _sent(json_files.turn_json(turn), _JSON)


def turn_py(request: Request) -> Response:
    """Answer a request to a turn as a pytest module."""
    turn = _turn(request)
    return _sent(pytest_module(turn.session_id, turn.started, [turn]), _TEXT)


def _form(request: Request) -> str:
    form = request.query_params.get("form", "")
    if form not in {"", "deepeval"}:
        message = f"form={form[:40]!r} is not known; it is deepeval, or left out"
        raise ConfigurationError(message)
    return form


def _session(request: Request) -> tuple[Session, Iterator[Turn]]:
    readers = readers_of(request)
    with readers.lend() as reader:
        found = reader.sessions.get(request.query_params.get("id", ""))
        rows = turn_rows(reader, found.id)
    return found, _turns(readers, [row.key for row in rows])


def _turns(readers: Readers, keys: list[tuple[bytes, bytes]]) -> Iterator[Turn]:
    read, turns = b"", dict[bytes, Turn]()
    for trace, root in keys:
        with readers.lend() as reader:
            if trace != read:  # Once, however many turns it has.
                read, turns = trace, {it.root_id: it for it in reader.turns(trace)}
            if root not in turns:  # It has changed since the turns were listed.
                continue
            turn = reader.scored(turns[root])
        yield turn


def _turn(request: Request) -> Turn:
    trace, root = parse_turn_key(request.query_params.get("turn", ""))
    with readers_of(request).lend() as reader:
        return reader.scored(reader.turn(trace, root))


def _sent(pieces: Iterator[str], media_type: str) -> Response:
    # What cannot be encoded are halves of surrogate pairs in figures' names; JSON escapes them.
    encoded = (piece.encode("utf-8", "replace") for piece in pieces)
    return StreamingResponse(encoded, media_type=media_type)
