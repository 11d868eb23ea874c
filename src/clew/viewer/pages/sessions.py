"""The list of sessions: the conversations, and which of them to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from clew.sessions.session import Session
from clew.viewer import ratings
from clew.viewer.filters import ORDERS, RATED, SINCE, Filters
from clew.viewer.insight import TurnScore, mark_of
from clew.viewer.pictures import Mark, turns_picture
from clew.viewer.readers import Reader, readers_of
from clew.viewer.rendering import page

PER_PAGE = 40
_MOST_MARKS = 24
_MOST_TURNS = 2000
"""Turns of a session up to which they all are in its picture."""
_MOST_CHOICES = 100

# Each value once, without reading the entry of every session that has it.
_CHOICES = """
WITH RECURSIVE found (value) AS (
    SELECT min(value) FROM session_value WHERE kind = :kind
    UNION ALL
    SELECT (SELECT min(value) FROM session_value WHERE kind = :kind AND value > found.value)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT :most
"""
# Likewise the names of the metadata: each is a kind of its own.
_NAMES = """
WITH RECURSIVE found (kind) AS (
    SELECT min(kind) FROM session_value WHERE kind > 'metadata:' AND kind < 'metadata;'
    UNION ALL
    SELECT (SELECT min(kind) FROM session_value WHERE kind > found.kind AND kind < 'metadata;')
    FROM found WHERE found.kind IS NOT NULL
)
SELECT substr(kind, 10) AS name FROM found WHERE kind IS NOT NULL LIMIT :most
"""
_MARKS = """
SELECT start_ns, end_ns, errors, friction, failure FROM turn
LEFT JOIN turn_score USING (session_id, trace_id, root_id)
WHERE session_id = ? AND said ORDER BY start_ns, trace_id, root_id LIMIT ?
"""
_TOTALS = """
SELECT (SELECT sum(sessions) FROM session_day WHERE kind = 'all') AS sessions,
    (SELECT sum(failed_sessions) FROM session_day WHERE kind = 'all') AS failed,
    (SELECT max(latency_p95_ns) / 1e9 FROM session) AS slowest,
    (SELECT max(cost_order) FROM session) AS dearest
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One session of the list."""

    session: Session
    picture: Markup
    rated: ratings.Counts | None


def sessions(request: Request) -> Response:
    """Answer a request to the list of sessions."""
    filters = Filters.parse(request.query_params)
    after = request.query_params.get("after") or None
    with readers_of(request).lend() as reader:
        found = list(reader.sessions.list(**filters.for_store(), limit=PER_PAGE + 1, after=after))
        rated = ratings.counts(reader.sessions, [session.id for session in found])
        rows = [
            Row(
                session,
                turns_picture(marks(reader, session.id), most=_MOST_MARKS),
                rated.get(session.id),
            )
            for session in found[:PER_PAGE]
        ]
        values: dict[str, Any] = {
            "filters": filters,
            "rows": rows,
            "after": after,
            "next": filters.href(found[PER_PAGE - 1].id) if len(found) > PER_PAGE else "",
            "orders": _orders(filters),
            "times": SINCE,
            "ratings": RATED if filters.rated or ratings.are_there(reader.sessions) else {},
            "models": _choices(reader, "model", filters.model),
            "frameworks": _choices(reader, "framework", filters.framework),
            "tools": _choices(reader, "tool", filters.tool),
            "tags": _choices(reader, "tag", filters.tag),
            "metadata": metadata_names(reader),
            "totals": reader.rows(_TOTALS)[0],
            "is_scored": reader.sessions.is_scored,
        }
    return page(request, "sessions.html", **values)


def marks(reader: Reader, session_id: str, most: int = _MOST_TURNS) -> list[Mark]:
    """Return a mark for each turn of a session in which something was said."""
    rows = reader.rows(_MARKS, (session_id, most))
    found = []
    for number, row in enumerate(rows, 1):
        is_scored = row["friction"] is not None
        score = TurnScore(row["friction"], row["failure"]) if is_scored else None
        found.append(mark_of(number, row["end_ns"] - row["start_ns"], row["errors"], score))
    return found


def metadata_names(reader: Reader) -> list[str]:
    """Return the names under which turns have metadata."""
    return [row["name"] for row in reader.rows(_NAMES, {"most": _MOST_CHOICES})]


def _orders(filters: Filters) -> list[tuple[str, str, bool]]:
    """Return the orders with their addresses, and which of them is the current one."""
    fresh = replace(filters, ascending=False)
    return [
        (label, fresh.href(order=name), filters.order == name)
        for name, label in ORDERS.items()
        if name not in {"first", "tokens", "failure"} or filters.order == name
    ]


def _choices(reader: Reader, kind: str, chosen: str) -> Sequence[str]:
    parameters = {"kind": kind, "most": _MOST_CHOICES}
    values = [row["value"] for row in reader.rows(_CHOICES, parameters)]
    return values if not chosen or chosen in values else [chosen, *values]
