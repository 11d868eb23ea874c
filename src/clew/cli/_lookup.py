"""Finds the session that a person means by what was typed."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

from clew.cli import _terminal
from clew.context.pseudonyms import pseudonymise
from clew.core.errors import ClewError
from clew.core.wording import number_of
from clew.sessions.session import Session
from clew.sessions.store import SessionNotFoundError
from clew.store.encoding import is_utf8

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

_MOST_NAMED = 10
_RECENT = 2000
"""How many ids are compared with one that is not there: those of the sessions used last."""


class AmbiguousError(ClewError):
    """Several sessions begin like this."""


def find(store: "Conversations", typed: str) -> Session:
    """Return the session with this id, or the only one whose id begins with it."""
    try:
        return store.get(typed)
    except SessionNotFoundError:
        ids = _beginning_with(store, typed)
    if len(ids) == 1:
        return store.get(ids[0])
    if ids:
        more = "" if len(ids) <= _MOST_NAMED else "\n  and more"
        listed = "".join(f"\n  {_terminal.line(it)}" for it in ids[:_MOST_NAMED])
        message = f"several sessions begin with {typed!r}:{listed}{more}"
        raise AmbiguousError(message)
    raise SessionNotFoundError(unknown(store, typed))


def stored_user(store: "Conversations", typed: str | None) -> str | None:
    """Return the id of a user in the store: a pseudonym, where ``CLEW_USER_ID_KEY`` is set."""
    if typed is None or (pseudonym := pseudonymise(typed)) == typed or _has_user(store, typed):
        return typed
    return pseudonym


def unknown(store: "Conversations", typed: str) -> str:
    """Return a message: there is no such session, and which ones may be meant."""
    if number := number_of_spans(store, typed):
        return (
            f"session {typed!r} in {store.path} has {number_of(number, 'span')}, but no turn, so "
            "there is nothing to show; clew export --session gives its spans away"
        )
    message = f"there is no session {typed!r} in {store.path}"
    if number := _has_user(store, typed):
        return f"{message}; it is a user, with {number_of(number, 'session')}: --user {typed}"
    recent = store.sql("SELECT session_id FROM sessions ORDER BY last_ns DESC LIMIT ?", (_RECENT,))
    if near := get_close_matches(typed, [row["session_id"] for row in recent], n=3):
        return f"{message}; did you mean {' or '.join(map(_terminal.line, near))}?"
    return f"{message}; list them with: clew sessions"


def unknown_user(store: "Conversations", typed: str) -> str:
    """Return a message: there is no such user, and which ones may be meant."""
    message = f"there is no user {typed!r} in {store.path}"
    known = [row["user_id"] for row in store.users()[:_RECENT]]
    if near := get_close_matches(typed, known, n=3):
        return f"{message}; did you mean {' or '.join(map(_terminal.line, near))}?"
    return f"{message}; list them with: clew users"


def _has_user(store: "Conversations", user: str) -> int:
    """Return in how many sessions a user is."""
    rows = store.sql("SELECT count(*) AS number FROM user_sessions WHERE user_id = ?", (user,))
    return int(rows[0]["number"])


def number_of_spans(store: "Conversations", session: str) -> int:
    """Return how many spans have this id of a session; there may be no turn in them."""
    if not is_utf8(session):
        return 0
    query = "SELECT count(*) AS number FROM spans WHERE session_id = ?"
    return int(store.sql(query, (session,))[0]["number"])


def _beginning_with(store: "Conversations", typed: str) -> list[str]:
    if not typed:
        return []
    rows = store.sql(
        "SELECT session_id FROM sessions WHERE session_id >= ? AND session_id < ? LIMIT ?",
        (typed, typed + "\U0010ffff", _MOST_NAMED + 1),
    )
    return [row["session_id"] for row in rows]
