"""Everything that was ever said about a session or a turn, with what was replaced or withdrawn."""

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from clew.evaluations import Evaluation
from clew.viewer.contents import Excerpt, excerpt, one_line
from clew.viewer.parts import parse_turn_key
from clew.viewer.ratings import is_about, said_in
from clew.viewer.readers import readers_of
from clew.viewer.rendering import href, page

_MOST = 200
_MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One evaluation."""

    made: datetime | None
    who: str
    name: str
    value: str
    text: Excerpt | None
    by: str
    """Of a program, its kind and version."""
    state: str
    """Empty if it counts; else whether it was replaced, or withdraws what was said."""


def history(request: Request) -> Response:
    """Answer a request to the history of a session or of a turn."""
    session_id, turn = (request.query_params.get(name, "") for name in ("session", "turn"))
    name = request.query_params.get("name", "")
    key = parse_turn_key(turn) if turn else None
    with readers_of(request).lend() as reader:
        reader.sessions.get(session_id)
        trace = key[0] if key else None
        said = said_in(reader.sessions, session_id, trace, current_ones=False)
        current = {it.id for it in said_in(reader.sessions, session_id, trace)}
    found = [it for it in reversed(said) if is_about(it, key) and name in {"", it.name}]
    everything = href("/history", **{**request.query_params, "name": ""}) if name else ""
    number = request.query_params.get("number", "")
    at = f"#turn-{number}" if number.isdecimal() else "#rating"
    back = href("/session", id=session_id, turn=number if number.isdecimal() else None)
    return page(
        request,
        "history.html",
        what=f"turn {number}" if key and number.isdecimal() else "a turn" if key else "the session",
        session_id=session_id,
        name=one_line(name, 60),
        everything=everything,
        entries=[_entry(it, is_current=it.id in current) for it in found[:_MOST]],
        more=max(0, len(found) - _MOST),
        back=f"{back}{at}",
    )


def _entry(it: Evaluation, *, is_current: bool) -> Entry:
    score = "" if it.score is None or it.name == "thumbs" else f"{it.score:.3g}"
    words = [word for word in (it.label, score) if word]
    is_person = it.annotator_kind == "HUMAN"
    return Entry(
        made=it.made,
        who=one_line(it.identifier or ("Somebody" if is_person else it.annotator_kind), 60),
        name=one_line(it.name, 60),
        value=one_line(" · ".join(words), 120),
        text=excerpt(it.explanation, _MAX_TEXT) if it.explanation else None,
        by="" if is_person else _program(it),
        state="" if is_current else "withdrawn" if it.withdraws else "replaced",
    )


def _program(it: Evaluation) -> str:
    """Return what is known of the program that said it, besides its name."""
    kind = it.annotator_kind if it.identifier else ""
    version = f"version {it.version}" if it.version else ""
    return one_line(", ".join(filter(None, (kind, version))), 80)
