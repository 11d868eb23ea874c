"""The overview: sessions, users, errors, cost and latency over days, by model and framework."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import time_ns
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from clew.viewer import wording
from clew.viewer.answers import Answer
from clew.viewer.pictures import bars
from clew.viewer.readers import Reader, Readers, readers_of
from clew.viewer.rendering import href, page

_DAY = 24 * 60 * 60 * 10**9
_USUAL = "30"
RANGES = {"7": "7 days", "30": "30 days", "90": "90 days"}

_LAST = "SELECT max(last_ns) AS last_ns FROM session WHERE last_ns < ?"
_LATER = "SELECT sum(sessions) AS sessions FROM session_day WHERE kind = 'all' AND day > ?"
_DAYS = """
SELECT day, sessions, turns, failed_turns AS failed, iif(priced, cost, NULL) AS cost,
    latency / sessions AS latency,
    (SELECT count(*) FROM user_day WHERE user_day.day = session_day.day AND user_id > '') AS users
FROM session_day WHERE kind = 'all' AND day BETWEEN ? AND ?
"""
_VALUES = """
SELECT value, sum(sessions) AS sessions, sum(turns) AS turns, sum(failed_sessions) AS failed,
    iif(sum(priced), total(cost), NULL) AS cost, total(latency) / total(sessions) AS latency
FROM session_day WHERE kind = ? AND day BETWEEN ? AND ?
GROUP BY value ORDER BY sum(sessions) DESC LIMIT 12
"""
_ERRORS = """
SELECT error, count(*) AS turns, count(DISTINCT session_id) AS sessions, max(start_ns) AS last_ns,
    max(session_id) AS example
FROM turn WHERE errors > 0 AND start_ns >= ? AND start_ns < ?
GROUP BY error ORDER BY turns DESC LIMIT 8
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure over days."""

    title: str
    total: str
    picture: Markup
    values: list[tuple[str, str]]
    """The same as a table, for those who do not see the picture."""


@dataclass(frozen=True, slots=True)
class _Figures:
    until: int
    """The day, in UTC, of the last turn that is not in the future; 0 if there is none."""
    later: int
    """The sessions that began after that day: a clock was wrong."""
    days: dict[int, dict[str, Any]]
    models: list[dict[str, Any]]
    frameworks: list[dict[str, Any]]
    errors: list[dict[str, Any]]


def overview(request: Request) -> Response:
    """Answer a request to the overview."""
    chosen = request.query_params.get("days", _USUAL)
    chosen = chosen if chosen in RANGES else _USUAL
    found = counted(readers_of(request), chosen)
    figures: _Figures = found.value
    numbers = range(figures.until - int(chosen) + 1, figures.until + 1)
    return page(
        request,
        "overview.html",
        empty=figures.until == 0,
        age=found.age,
        later=figures.later,
        days=chosen,
        ranges=[
            (label, href("/overview", days=key), key == chosen) for key, label in RANGES.items()
        ],
        charts=_charts(figures.days, numbers),
        groups=[
            ("model", "Models", figures.models),
            ("framework", "Frameworks", figures.frameworks),
        ],
        errors=figures.errors,
    )


def counted(readers: Readers, days: str = _USUAL) -> Answer:
    """Return the figures of the last *days* with their age."""
    return readers.answer(("overview", days), partial(_figures, int(days)))


def _figures(days: int, reader: Reader) -> _Figures:
    tomorrow = time_ns() // _DAY + 1
    last = reader.rows(_LAST, ((tomorrow + 1) * _DAY,))[0]["last_ns"]
    if last is None:  # There is none, or all of them are in the future.
        last = reader.rows(_LAST, (2**63 - 1,))[0]["last_ns"]
    until = (last or 0) // _DAY
    first = until - days + 1
    return _Figures(
        until=until,
        later=reader.rows(_LATER, (until,))[0]["sessions"] or 0,
        days={row["day"]: row for row in reader.rows(_DAYS, (first, until))},
        models=reader.rows(_VALUES, ("model", first, until)),
        frameworks=reader.rows(_VALUES, ("framework", first, until)),
        errors=reader.rows(_ERRORS, (first * _DAY, (until + 1) * _DAY)),
    )


def _charts(days: Mapping[int, dict[str, Any]], numbers: range) -> list[Chart]:
    def sums(column: str) -> float:
        return sum(row[column] or 0 for row in days.values())

    def chart(
        title: str, column: str, total: str, shown: Callable[[float], str], kind: str = "good"
    ) -> Chart:
        values = [float((days.get(day) or {}).get(column) or 0) for day in numbers]
        names = [f"{datetime.fromtimestamp(day * 86400, UTC):%a %d %b %Y}" for day in numbers]
        labels = [f"{name}: {shown(value)}" for name, value in zip(names, values, strict=True)]
        table = [(name, shown(value)) for name, value in zip(names, values, strict=True)]
        return Chart(title, total, bars(values, labels, kind=kind), table)

    turns = sums("turns")
    failed = sums("failed")
    share = f"{failed / turns:.1%} of turns" if turns else ""
    waited = [row["latency"] for row in days.values() if row["latency"] is not None]
    worst = wording.duration(max(waited)) if waited else wording.NOTHING
    number = wording.number
    most = max((row["users"] for row in days.values()), default=0)
    return [
        chart("Sessions", "sessions", number(sums("sessions")), number),
        chart("Turns", "turns", number(turns), number),
        chart("Failed turns", "failed", f"{number(failed)} · {share}", number, "bad"),
        chart("Users", "users", f"up to {number(most)} a day", number),
        chart("Cost", "cost", wording.cost(round(sums("cost"), 4)), wording.cost),
        chart(
            "p95 latency", "latency", f"mean of sessions, up to {worst}", wording.duration, "slow"
        ),
    ]
