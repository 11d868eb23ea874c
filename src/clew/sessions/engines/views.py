"""Views in an engine's own SQL, and what is in them where a URL chooses a time.

Spans are those that began then. Sessions are those that were going on then, with all of their turns
that were read; of what is in no session, turns that were going on then.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlglot import exp

from clew.sessions.engines.engine import Window

_SESSION, _TURN = "session", "turn"


class View(NamedTuple):
    """A view in an engine's own SQL."""

    sql: str
    made_of: set[str]


def views_in_time(views: Mapping[str, View], window: Window, dialect: str) -> Mapping[str, View]:
    """Return *views* as they are of a store whose URL chooses the time of the *window*."""
    if not window.is_bounded:
        return views
    session, turn = (exp.to_identifier(it, quoted=True).sql(dialect) for it in (_SESSION, _TURN))
    of_sessions = f"session_id IN (SELECT session_id FROM {session})"
    of_turns = f"trace_id IN (SELECT trace_id FROM {turn} WHERE session_id = '')"
    conditions = {
        _SESSION: (_overlap("first_ns", "last_ns", window), set[str]()),
        _TURN: (
            f"{of_sessions} OR session_id = '' AND {_overlap('start_ns', 'end_ns', window)}",
            {_SESSION},
        ),
        "session_value": (of_sessions, {_SESSION}),
        "user_session": (of_sessions, {_SESSION}),
        "evaluation": (f"{of_sessions} OR session_id = '' AND {of_turns}", {_SESSION, _TURN}),
    }
    bounded = {
        name: views[name]._replace(
            sql=f"SELECT * FROM ({views[name].sql}) AS every WHERE {condition}",
            made_of=views[name].made_of | others,
        )
        for name, (condition, others) in conditions.items()
    }
    return {**views, **bounded}


def _overlap(first: str, last: str, window: Window) -> str:
    since = [] if window.since_ns is None else [f"{last} >= {window.since_ns}"]
    until = [] if window.until_ns is None else [f"{first} < {window.until_ns}"]
    return " AND ".join((*since, *until))
