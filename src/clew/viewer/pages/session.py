"""One session: the conversation as people read one, and where it went wrong."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.sessions.model import Turn
from clew.viewer.contents import one_line
from clew.viewer.conversation import TurnView, turn_views
from clew.viewer.insight import Key, read_scores, read_usual, session_insight, turn_insight
from clew.viewer.pictures import Mark, turns_picture
from clew.viewer.ratings import Ratings, person
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import href, page
from clew.viewer.running import running
from clew.viewer.source import source_of
from clew.viewer.turn_list import TurnRow, marks_of, turn_rows

_PER_PAGE = 25
_SPANS_PER_PAGE = 400
"""Spans after which a page ends, so that turns with very many do not make it slow."""
_SECONDS_PER_PAGE = 0.04
"""After which a page ends, too: calls that were sent a long history take long to read."""
_SECONDS_FOR_THE_REST = 0.5
"""How long a page waits for what is still to be copied of its session; it comes by itself later."""
_FEWEST = 3
_JUMPS = {"first", "worst"}
"""Which bad turn an address may ask for."""
_MOST_MARKS = 120
SLOW = 10.0
"""Seconds after which people stop waiting."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which turns are asked for: the page with one of them, or those of a page that is open."""

    number: int
    starts: bool = False
    """Whether the page begins with that turn, however short the session is."""
    last: int | None = None
    """The last turn that an open page shows, up to which its turns come again; 0 if it is gone."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One line of the list of turns beside the conversation."""

    number: int
    label: str
    trouble: str
    words: str
    """What is wrong with it; empty if nothing is."""
    is_bad: bool
    """Whether somebody has rated it bad."""


def session(request: Request) -> Response:
    """Answer a request to the page of a session."""
    session_id = request.query_params.get("id", "")
    source = source_of(request)
    trouble = ""
    if source is not None and not source.is_complete:  # There may be more of it: turns, verdicts.
        trouble = source.bring(session_id, _SECONDS_FOR_THE_REST).trouble
    with readers_of(request).lend() as reader:
        found = reader.sessions.get(session_id)
        rows = turn_rows(reader, session_id)
        keys = [row.key for row in rows]
        scores = read_scores(reader, session_id)
        marks = marks_of(rows, scores)
        insight = session_insight(found, keys, scores)
        failed = [mark.number for mark in marks if mark.errors]
        if request.query_params.get("failed") == "first" and failed:
            return RedirectResponse(_address(session_id, failed[0]), 303)
        if request.query_params.get("bad") in _JUMPS:
            wanted = getattr(insight, request.query_params["bad"])
            number = wanted.number if wanted else failed[0] if failed else 1
            return RedirectResponse(_address(session_id, number), 303)
        start, shown = _page_with(reader, rows, _wanted(request, keys))
        token = request.app.state.form_token
        ratings = Ratings(reader.sessions, session_id, person(request), token, start)
        bad = ratings.rated_bad(keys)
        if request.query_params.get("rated") == "bad":
            return RedirectResponse(_first_bad(session_id, bad), 303)
        views = list(turn_views(shown))
        ratings.read(view.turn.trace_id for view in views)
        going = running(reader, [row[:4] for row in rows[start - 1 : start - 1 + len(views)]])
        usual = read_usual(reader)
        insights = {
            view.number: turn_insight(reader, view.turn, scores.get(keys[view.number - 1]), usual)
            for view in views
        }
    last = views[-1].number if views else start
    for view in views:
        view.labels = labels(view, found.latency_p50)
        if (view.turn.trace_id, view.turn.root_id) in going:
            view.labels = [*view.labels, "running"]

    def at(number: int) -> str:
        """Return the address of a turn, which leads to it from everywhere."""
        return _address(session_id, number)

    values: dict[str, Any] = {
        "session": found,
        "copying_trouble": trouble,
        "turns": views,
        "start": start,
        "last": last,
        "total": len(rows),
        "next_failed": _next(marks, last, at, {"bad"}),
        "next_bad": _next(marks, last, at, {"bad", "annoyed"}),
        "picture": turns_picture(
            marks,
            most=_MOST_MARKS,
            href=at,
            scale=1.0 if len(marks) > _MOST_MARKS // 2 else 1.6,
        ),
        "insight": insight,
        "insights": insights,
        "at": at,
        "first_failed": at(failed[0]) if failed else "",
        "failed": failed,
        "slowest": _slowest(marks, at),
        "rating": ratings.session(),
        "ratings": {view.number: ratings.turn(view.turn, view.number) for view in views},
        "first_bad": at(bad[0]) if bad else "",
        "bad": bad,
        "outline": [
            Outline(
                view.number,
                one_line(view.turn.input.text, 60),
                marks[view.number - 1].trouble,
                marks[view.number - 1].words,
                view.number in bad,
            )
            for view in views
        ],
        "previous": href("/session", id=session_id, turn=max(1, start - _PER_PAGE))
        if start > 1
        else "",
        "next": href("/session", id=session_id, turn=last + 1) if last < len(rows) else "",
    }
    return page(request, "session.html", **values)


def _first_bad(session_id: str, bad: list[int]) -> str:
    """Return the address of the first turn rated bad; of the session's own rating without one."""
    if not bad:
        return f"{href('/session', id=session_id)}#rating"
    return _address(session_id, bad[0])


def _address(session_id: str, number: int) -> str:
    """Return the address of a turn that may be on any page of its session."""
    return f"{href('/session', id=session_id, turn=number)}#turn-{number}"


def _wanted(request: Request, keys: Sequence[Key]) -> _Wanted:
    """Return which turns the address names: a page that is open names its first and its last one.

    By what names them everywhere: their numbers change when turns come or go before them.
    """
    query = request.query_params
    text = query.get("turn", "1")
    number = int(text) if text.isdecimal() and len(text) < 9 else 1
    number = min(max(1, number), max(1, len(keys)))
    if "last" not in query:
        return _Wanted(number)
    numbers = {f"{trace.hex()}-{root.hex()}": index for index, (trace, root) in enumerate(keys, 1)}
    first, last = (numbers.get(query.get(name, ""), 0) for name in ("first", "last"))
    return _Wanted(first or number, starts=bool(first), last=last)


def _page_with(
    reader: Reader, rows: list[TurnRow], wanted: _Wanted
) -> tuple[int, list[tuple[int, Turn]]]:
    """Return the number that a page with this turn begins with, and its turns.

    A short session is shown from its beginning, if the turn is on that page: turns may be large.
    """
    if len(rows) <= _PER_PAGE and not wanted.starts:
        turns = _turns(reader, rows, 1, wanted.last)
        if wanted.number == 1 or (turns and turns[-1][0] >= wanted.number):
            return 1, turns
    return wanted.number, _turns(reader, rows, wanted.number, wanted.last)


def _turns(
    reader: Reader, rows: list[TurnRow], start: int, last: int | None
) -> list[tuple[int, Turn]]:
    """Return the turns of the page that begins with this number, and has the *last* one, if any."""
    turns: list[tuple[int, Turn]] = []
    known: dict[bytes, dict[bytes, Turn]] = {}
    spans, until = 0, monotonic() + _SECONDS_PER_PAGE
    most = min(max(_PER_PAGE, (last or 0) - start + 1), 2 * _PER_PAGE)
    for number, row in enumerate(rows[start - 1 : start - 1 + most], start):
        if row.trace not in known:
            known[row.trace] = {turn.root_id: turn for turn in reader.turns(row.trace)}
        turn = known[row.trace].get(row.root)
        if turn is None:  # It has changed since the list of turns was read.
            continue
        turns.append((number, turn))
        spans += row.spans
        is_late = last is None and len(turns) >= _FEWEST and monotonic() > until
        if number >= (last or 0) and (spans >= _SPANS_PER_PAGE or is_late):
            break
    return turns


def _next(marks: Iterable[Mark], last: int, at: Callable[[int], str], troubles: set[str]) -> str:
    """Return the address of the first turn after the *last* one that has one of the *troubles*."""
    found = (it.number for it in marks if it.number > last and it.trouble in troubles)
    return next(map(at, found), "")


def _slowest(marks: list[Mark], at: Callable[[int], str]) -> tuple[str, float] | None:
    """Return the address of the slowest turn and its seconds, if it is slow."""
    if len(marks) < 2:
        return None
    worst = max(marks, key=lambda mark: mark.seconds)
    return (at(worst.number), worst.seconds) if worst.seconds >= SLOW else None


def labels(view: TurnView, usual: float) -> list[str]:
    """Return what is beside the ordinary about a turn, given what is *usual* in its session."""
    found = []
    seconds = view.turn.seconds
    if seconds >= SLOW or (seconds >= SLOW / 3 and seconds >= 3 * usual):
        found.append("slow")
    if not view.turn.output.text and not view.turn.output.media:
        found.append("no answer")
    return found
