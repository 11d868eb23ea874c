"""The users: who has how many sessions, what they cost, and how they went."""

from functools import partial
from math import fsum
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from clew.core.errors import ConfigurationError
from clew.viewer.answers import Answer
from clew.viewer.pictures import trend
from clew.viewer.readers import Reader, Readers, readers_of
from clew.viewer.rendering import href, page

_PER_PAGE = 50
_DAYS = 14
_DAY = 24 * 60 * 60 * 10**9
ORDERS = {
    "last": ("Seen last", "last_ns"),
    "sessions": ("Most sessions", "sessions"),
    "turns": ("Most turns", "turns"),
    "cost": ("Most expensive", "iif(priced, cost, -1)"),
    "failed": ("Most failed turns", "failed_turns"),
    "latency": ("Slowest", "latency / max(turns, 1)"),
}
_USERS = """
SELECT user_id, sessions, turns, last_ns, iif(counted, total_tokens, NULL) AS total_tokens,
    iif(priced, cost, NULL) AS cost, errors, failed_turns,
    latency / nullif(turns, 0) AS mean_latency
FROM user_total {where} ORDER BY {key} DESC, user_id DESC LIMIT :limit OFFSET :offset
"""
# The mean of a user's sessions, as the metric `friction` by user.
_FRICTION = """
SELECT session.session_id, friction, first_bad_turn FROM user_session
JOIN session USING (session_id) WHERE user_session.user_id = ?
ORDER BY friction_order DESC, session.session_id
"""
_WORST = """
SELECT session_id, failed_turns FROM user_session WHERE user_id = ?
ORDER BY failed_turns DESC, errors DESC, latency_ns / max(turns, 1) DESC LIMIT 1
"""
_TREND = """
WITH RECURSIVE days (day) AS (SELECT :first UNION ALL SELECT day + 1 FROM days LIMIT :number)
SELECT days.day, sessions FROM days JOIN user_day USING (day) WHERE user_id = :user
"""


def users(request: Request) -> Response:
    """Answer a request to the list of users."""
    order = request.query_params.get("order") or "last"
    if order not in ORDERS:
        message = f"order={order[:40]!r} is not known; there are {', '.join(ORDERS)}"
        raise ConfigurationError(message)
    name = request.query_params.get("user", "").strip()
    text = request.query_params.get("page", "1")
    number = max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1
    answer = counted(readers_of(request), order, name, number)
    found: list[dict[str, Any]] = answer.value
    return page(
        request,
        "users.html",
        rows=found[:_PER_PAGE],
        age=answer.age,
        name=name,
        order=order,
        orders=[
            (label, href("/users", order=key if key != "last" else "", user=name), key == order)
            for key, (label, _) in ORDERS.items()
        ]
        # Ranked fairly, however few sessions a user has.
        + [("Most friction", href("/metrics", metric="friction", by="user"), False)],
        next=href("/users", order=order, user=name, page=number + 1)
        if len(found) > _PER_PAGE
        else "",
        number=number,
    )


def counted(readers: Readers, order: str = "last", name: str = "", number: int = 1) -> Answer:
    """Return a page of the users with their figures, and one user more if there is a next page."""
    where = "WHERE instr(lower(user_id), lower(:name)) > 0" if name else ""
    query = _USERS.format(where=where, key=ORDERS[order][1])
    parameters: dict[str, Any] = {"limit": _PER_PAGE + 1, "offset": (number - 1) * _PER_PAGE}
    if name:
        parameters["name"] = name
    return readers.answer(("users", order, name, number), partial(_rows, query, parameters))


def _rows(query: str, parameters: dict[str, Any], reader: Reader) -> list[dict[str, Any]]:
    found = reader.rows(query, parameters)
    return [_with_sessions(reader, row) for row in found[:_PER_PAGE]] + found[_PER_PAGE:]


def _with_sessions(reader: Reader, row: dict[str, Any]) -> dict[str, Any]:
    """Add the trend of a user's sessions, their mean friction, and the worst of them."""
    found = reader.rows(_FRICTION, (row["user_id"],))
    known = [it["friction"] for it in found if it["friction"] is not None]
    worst = reader.rows(_WORST, (row["user_id"],))
    first = row["last_ns"] // _DAY - _DAYS + 1
    days = reader.rows(_TREND, {"first": first, "number": _DAYS, "user": row["user_id"]})
    return {
        **row,
        "trend": _trend(days, first),
        "friction": fsum(known) / len(known) if known else None,
        "scored": len(known),
        "most_friction": found[0] if known and found[0]["first_bad_turn"] else None,
        "worst": worst[0] if worst else None,
    }


def _trend(days: list[dict[str, Any]], first: int) -> Markup:
    counts = [0] * _DAYS
    for row in days:
        counts[row["day"] - first] = row["sessions"]
    return trend(counts, f"{sum(counts)} sessions in {_DAYS} days")
