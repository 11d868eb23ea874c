"""Two sessions side by side: their figures, their turns in pairs, and what is different."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.sessions.model import Turn
from clew.sessions.session import Session
from clew.sessions.store import SessionNotFoundError
from clew.viewer import differences, wording
from clew.viewer.alignment import Pair, align
from clew.viewer.bringing import bring, is_there
from clew.viewer.contents import Excerpt, excerpt, one_line
from clew.viewer.conversation import MessageView, message_view
from clew.viewer.differences import Figure, Piece, figure
from clew.viewer.parts import content_href
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import href, page
from clew.viewer.source import source_of

_PER_PAGE = 20
MOST_TURNS = 2_000
"""Turns of a session that are compared: the first ones."""
_MAX_SAID = 3_000
_MAX_ERROR = 600
_MOST_OFFERED = 12
_SEARCHED = 400
"""Sessions among which those to offer are looked for: the latest ones of the user, and of all."""
_BEGINNING = 1_000
"""Characters of two answers that tell whether they are different, besides their length."""
_SIDES = 2

_TURNS = """
SELECT trace_id AS trace, root_id AS root, substr(input, 1, :beginning) AS asked,
    substr(output, 1, :beginning) AS answered, length(output) AS length, errors > 0 AS failed
FROM turn WHERE session_id = :session AND (said OR errors > 0)
ORDER BY start_ns, trace_id, root_id LIMIT :most
"""
_NEIGHBOURS = """
SELECT session_id FROM session
WHERE session_id <> :session AND session_id IN (
    SELECT session_id FROM session_value WHERE kind = 'user' AND value = :user
    ORDER BY last_ns DESC LIMIT :searched
)
ORDER BY first_message = :first DESC, last_ns DESC LIMIT :most
"""
_LATEST = """
SELECT session_id FROM (SELECT session_id, first_message, last_ns FROM session
    WHERE session_id <> :session ORDER BY last_ns DESC LIMIT :searched)
ORDER BY first_message = :first DESC, last_ns DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Side:
    """A turn of one of the two sessions."""

    number: int
    turn: Turn
    href: str
    input: MessageView
    answer: Excerpt
    pieces: Sequence[Piece] | None
    """The answer, with what the other one lacks; None if it is shown as it is."""
    tools: Sequence[Piece]
    error: Excerpt | None


@dataclass(frozen=True, slots=True)
class PairView:
    """Two turns side by side."""

    number: int
    how: str
    sides: Sequence[Side | None]
    figures: Sequence[Figure]
    same_answer: bool


def compare(request: Request) -> Response:
    """Answer a request to the comparison of two sessions, or to the choice of the second one."""
    query = request.query_params
    ticked = query.getlist("s")
    if ticked:
        ids = dict(enumerate(ticked[: _SIDES + 1]))
        if len(ids) > _SIDES:
            return _choice(request, "", "", f"Of {len(ticked)} sessions only two are compared.")
        return RedirectResponse(href("/compare", a=ids[0], b=ids.get(1, "")), 303)
    left, right = query.get("a", "").strip(), query.get("b", "").strip()
    if not (left and right):
        return _choice(request, left, right, "")
    with readers_of(request).lend() as reader:
        try:
            both = reader.sessions.get(left), reader.sessions.get(right)
        except SessionNotFoundError:
            both = None
        if both is not None:
            values = _comparison(request, reader, both)
    if both is None:
        return _coming(request, left, right) or _choice(request, left, right, "")
    return page(request, "compare.html", **values)


def _coming(request: Request, left: str, right: str) -> Response | None:
    """Return what is answered while one of the two is copied from an engine; None if it is not."""
    if (source := source_of(request)) is None:
        return None
    with readers_of(request).lend() as reader:
        missing = [it for it in (left, right) if not is_there(reader, it)]
    for session_id in missing:
        answer = bring(request, source, session_id)
        if answer.status_code != HTTPStatus.NOT_FOUND:
            return answer
    return None


def _comparison(request: Request, reader: Reader, both: tuple[Session, Session]) -> dict[str, Any]:
    ids = both[0].id, both[1].id
    rows = [_rows(reader, it) for it in ids]
    pairs = align(*([row["asked"] for row in several] for several in rows))
    other = [_is_different(pair, rows) for pair in pairs]
    text = request.query_params.get("from", "1")
    start = int(text) if text.isdecimal() and len(text) < len(str(MOST_TURNS)) + 3 else 1
    start = min(max(1, start), max(1, len(pairs)))
    shown = pairs[start - 1 : start - 1 + _PER_PAGE]
    last = start - 1 + len(shown)

    def at(number: int) -> str:
        """Return the address of a pair."""
        if start <= number <= last:
            return f"#pair-{number}"
        first = (number - 1) // _PER_PAGE * _PER_PAGE + 1
        return f"{href('/compare', a=ids[0], b=ids[1], **{'from': first})}#pair-{number}"

    views = [
        view
        for number, pair in enumerate(shown, start)
        if (view := _pair(reader, number, pair, ids, rows)) is not None
    ]
    return {
        "sessions": both,
        "figures": _figures(both),
        "pairs": views,
        "counts": {how: sum(it.how == how for it in pairs) for how in ("same", "alike", "alone")},
        "total": len(pairs),
        "different": sum(other),
        "first_different": at(other.index(True) + 1) if any(other) else "",
        "left_out": max(len(several) for several in rows) >= MOST_TURNS,
        "most": MOST_TURNS,
        "start": start,
        "last": last,
        "swapped": href("/compare", a=ids[1], b=ids[0]),
        "previous": at(max(1, start - _PER_PAGE)).partition("#")[0] if start > 1 else "",
        "next": at(last + 1).partition("#")[0] if last < len(pairs) else "",
    }


def _rows(reader: Reader, session_id: str) -> list[dict[str, Any]]:
    parameters = {"session": session_id, "beginning": _BEGINNING, "most": MOST_TURNS}
    return reader.rows(_TURNS, parameters)


def _is_different(pair: Pair, rows: Sequence[list[dict[str, Any]]]) -> bool:
    """Whether another answer was given, or only one of the two failed."""
    if pair.left is None or pair.right is None:
        return True
    left, right = rows[0][pair.left], rows[1][pair.right]
    return any(left[name] != right[name] for name in ("answered", "length", "failed"))


def _pair(
    reader: Reader,
    number: int,
    pair: Pair,
    ids: Sequence[str],
    rows: Sequence[list[dict[str, Any]]],
) -> PairView | None:
    places = (pair.left, pair.right)
    turns = [
        None if place is None else _turn(reader, several[place])
        for place, several in zip(places, rows, strict=True)
    ]
    if turns == [None, None]:  # Both have changed since the turns were listed.
        return None
    left, right = turns
    texts = ["" if turn is None else turn.output.text for turn in turns]
    same = left is not None and right is not None and texts[0] == texts[1]
    pieces = None if same or not all(texts) else differences.marked(*texts)
    tools = [set() if turn is None else set(turn.tools) for turn in turns]
    sides = [
        None
        if turn is None or place is None
        else _side(turn, place + 1, session, pieces and pieces[side], tools[1 - side])
        for side, (turn, place, session) in enumerate(zip(turns, places, ids, strict=True))
    ]
    figures = _turn_figures(left, right) if left is not None and right is not None else ()
    return PairView(number, pair.how, sides, figures, same and bool(texts[0]))


def _turn(reader: Reader, row: dict[str, Any]) -> Turn | None:
    try:
        return reader.turn(row["trace"], row["root"])
    except LookupError:  # It has changed since the turns were listed.
        return None


def _side(
    turn: Turn, number: int, session: str, pieces: Sequence[Piece] | None, others: set[str]
) -> Side:
    error = None
    if turn.error:
        error = excerpt(wording.error_of(turn.error), _MAX_ERROR, content_href(turn, "error"))
    return Side(
        number=number,
        turn=turn,
        href=f"{href('/session', id=session, turn=number)}#turn-{number}",
        input=message_view(turn, turn.input, "input", _MAX_SAID),
        answer=excerpt(turn.output.text, _MAX_SAID, content_href(turn, "output")),
        pieces=pieces,
        tools=[Piece(one_line(name, 40), name not in others) for name in turn.tools[:20]],
        error=error,
    )


def _turn_figures(left: Turn, right: Turn) -> list[Figure]:
    return [
        figure("took", (left.seconds, right.seconds), wording.duration),
        figure("tokens", (left.tokens.total, right.tokens.total), wording.number),
        figure("cost", (left.cost, right.cost), wording.short_cost),
    ]


def _figures(both: tuple[Session, Session]) -> list[Figure]:
    def of(name: str, read: Any, shown: Any = wording.number) -> Figure:
        left, right = map(read, both)
        return figure(name, (left, right), shown)

    return [
        of("Turns", lambda it: len(it.turns)),
        of("Failed turns", lambda it: it.failed_turns),
        of("Lasted", lambda it: it.seconds, wording.duration),
        of("Latency p50", lambda it: it.latency_p50, wording.duration),
        of("Latency p95", lambda it: it.latency_p95, wording.duration),
        of("Model calls", lambda it: it.model_calls),
        of("Tool calls", lambda it: it.tool_calls),
        of("Tokens", lambda it: it.tokens.total),
        of("Cost", lambda it: it.cost, wording.cost),
    ]


def _choice(request: Request, left: str, right: str, message: str) -> Response:
    """Return the page on which the two sessions are chosen, with what is wrong about them."""
    with readers_of(request).lend() as reader:
        unknown = [it for it in (left, right) if it and not is_there(reader, it)]
        chosen = next((it for it in (left, right) if it and it not in unknown), "")
        session = reader.sessions.get(chosen) if chosen else None
        offered = _offered(reader, session)
    status = 404 if unknown else 400 if message else 200
    return page(
        request, "compare_choice.html", status=status, left=left, right=right, unknown=unknown,
        message=message, chosen=session, offered=offered,
    )  # fmt: skip


def _offered(reader: Reader, session: Session | None) -> list[Session]:
    """Return sessions that are likely meant: of the same user, or that begin alike."""
    values = {
        "session": session.id if session else "",
        "user": session.user_id if session else "",
        "first": session.first_message if session else "",
        "most": _MOST_OFFERED,
        "searched": _SEARCHED,
    }
    ids = [row["session_id"] for row in reader.rows(_LATEST, values)]
    same = [] if not values["user"] else [
        row["session_id"] for row in reader.rows(_NEIGHBOURS, values)
    ]  # fmt: skip
    found = dict.fromkeys([*same, *ids])
    first = values["first"]
    several = [reader.sessions.get(it) for it in list(found)]
    alike = [it for it in several if first and it.first_message == first]
    return [*alike, *(it for it in several if it not in alike)][:_MOST_OFFERED]
