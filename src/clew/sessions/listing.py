"""Finds sessions: by what is in them, in the order that is wanted, page by page."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import time_ns
from typing import Any, Literal, NamedTuple, Self

from clew.context.pseudonyms import pseudonymise
from clew.core.errors import ConfigurationError
from clew.sessions.figures import metadata_kind, metadata_value
from clew.sessions.filter_types import check_types
from clew.store.encoding import is_utf8

Rated = Literal["good", "bad", "any"]
Order = Literal[
    "last",
    "first",
    "turns",
    "duration",
    "tokens",
    "cost",
    "errors",
    "latency",
    "friction",
    "failure",
    "worst",
]
BY_SCORE = frozenset({"friction", "failure", "worst"})
"""The orders for which all sessions have to be scored."""

_KEYS: dict[str, str] = {
    "last": "last_ns",
    "first": "first_ns",
    "turns": "turns",
    "duration": "duration_ns",
    "tokens": "tokens_order",
    "cost": "cost_order",
    "errors": "errors",
    "latency": "latency_p95_ns",
    "friction": "friction_order",
    "failure": "failure_order",
    "worst": "worst_order",  # What that is says store/migrations/0004.sql.
}
"""What each order sorts by: a column of the table `session` with an index. In the index of an
expression, SQLite would not begin in the middle."""
_RATED: dict[str, str] = {
    "good": "name = 'thumbs' AND label = 'good' AND annotator_kind = 'HUMAN'",
    "bad": "name = 'thumbs' AND label = 'bad' AND annotator_kind = 'HUMAN'",
    "any": "annotator_kind = 'HUMAN'",
}
"""What a person has said about the session or one of its turns."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LATEST = 2**63 - 1
_MAX_FOUND = 1000
"""How many sessions a search for nothing but text considers, as it is asked while one types: those
in which it was said last. With any other condition or order, all are considered."""
_WITH_TEXT = (
    "SELECT turn.session_id FROM turn_text JOIN turn ON turn.id = turn_text.rowid "
    "WHERE turn_text MATCH ?"
)
_HAS_TEXT = (
    "EXISTS (SELECT 1 FROM turn WHERE turn.session_id = session.session_id "
    "AND +turn.id IN (SELECT rowid FROM turn_text WHERE turn_text MATCH ?))"
)
_FEW = 1000
"""Up to so many sessions that meet a condition are looked up; with more, the sessions are gone
through in their order until enough are found that meet it."""


def check_text(name: str, value: object) -> None:
    """Raise an error if *value* is a text that no store can have: with half a surrogate pair."""
    if isinstance(value, str) and not is_utf8(value):
        message = f"{name}={value!r:.80} cannot be encoded as UTF-8, so nothing has that name"
        raise ConfigurationError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Which sessions are wanted, and in which order."""

    order_by: Order = "last"
    ascending: bool = False
    user: str | None = None
    model: str | None = None
    framework: str | None = None
    tool: str | None = None
    tag: str | None = None
    metadata: Mapping[str, str | float] | None = None
    text: str | None = None
    since: datetime | timedelta | None = None
    until: datetime | None = None
    errors: bool | None = None
    rated: Rated | None = None
    limit: int = 100
    after: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.order_by not in _KEYS:
            message = f"order_by={self.order_by!r} is not known; there are {', '.join(_KEYS)}"
            raise ConfigurationError(message)
        if self.rated not in {None, *_RATED}:
            message = f"rated={self.rated!r} is not known; there are {', '.join(_RATED)}"
            raise ConfigurationError(message)
        for name in ("user", "model", "framework", "tool", "tag", "after"):
            check_text(name, getattr(self, name))
        for name, value in (self.metadata or {}).items():
            check_text("metadata", name)
            check_text("metadata", value)
            if metadata_value(value) is None:
                message = f"metadata={{{name!r}: {value!r}}}: it must be a text, a number or a bool"
                raise ConfigurationError(message)
        if self.limit < 1:
            message = f"limit={self.limit!r} must be at least 1"
            raise ConfigurationError(message)

    @property
    def key(self) -> str:
        """What is sorted by."""
        return _KEYS[self.order_by]

    def conditions(self) -> Iterator["Condition"]:
        """Yield the conditions that a session has to meet."""
        for kind in ("user", "model", "framework", "tool", "tag"):
            if (value := getattr(self, kind)) is not None:
                yield Condition.value(kind, *(_ids_of(value) if kind == "user" else [value]))
        for name, given in (self.metadata or {}).items():
            yield Condition.value(metadata_kind(name), metadata_value(given))
        if self.since is not None:
            yield Condition.simple("last_ns >= ?", _nanoseconds(self.since))
        if self.until is not None:
            yield Condition.simple("first_ns < ?", _nanoseconds(self.until))
        if self.errors is not None:
            yield Condition.simple(f"errors {'>' if self.errors else '='} ?", 0)
        if self.rated is not None:
            said = _RATED[self.rated]
            yield Condition(
                f"SELECT session_id FROM current_evaluation WHERE {said}",
                "EXISTS (SELECT 1 FROM current_evaluation AS said "
                # Found by the session: the plus keeps an index of names from being used.
                f"WHERE said.session_id = session.session_id AND +{said})",
                (),
            )


class Condition(NamedTuple):
    """What a session has to meet, in the two forms in which SQLite can be asked."""

    lookup: str
    """A query for the ids of all sessions that meet it; an index serves it."""
    test: str
    """An expression for one row of ``session``, which uses no index of it."""
    parameters: tuple[Any, ...]

    @classmethod
    def value(cls, kind: str, *values: str | None) -> Self:
        """Return the condition that a session has one of these *values* of this *kind*."""
        is_one = f"IN ({', '.join('?' * len(values))})" if len(values) > 1 else "= ?"
        return cls(
            f"SELECT session_id FROM session_value WHERE kind = ? AND value {is_one}",
            "EXISTS (SELECT 1 FROM session_value AS other WHERE "
            f"other.session_id = session.session_id AND kind = ? AND value {is_one})",
            (kind, *values),
        )

    @classmethod
    def simple(cls, expression: str, value: Any) -> Self:
        """Return a condition for one column of ``session``, with which *expression* begins."""
        return cls(f"SELECT session_id FROM session WHERE {expression}", f"+{expression}", (value,))

    def best(self, connection: sqlite3.Connection) -> str:
        """Return the form that is answered fast: few sessions meet it, or many do."""
        count = f"SELECT count(*) FROM ({self.lookup} LIMIT {_FEW + 1})"
        (number,) = connection.execute(count, self.parameters).fetchone()
        return f"session_id IN ({self.lookup})" if number <= _FEW else self.test


def _ids_of(user: str) -> list[str]:
    """Return the ids under which a user is stored: also a pseudonym, if those are made here."""
    return list(dict.fromkeys([user, str(pseudonymise(user))]))


def find_sessions(
    connection: sqlite3.Connection, columns: Sequence[str], search: Search
) -> list[tuple[Any, ...]]:
    """Return these *columns* of the sessions that are wanted."""
    conditions: list[tuple[str, Sequence[Any]]] = [
        (condition.best(connection), condition.parameters) for condition in search.conditions()
    ]
    if search.text is not None:
        conditions.append(_text_condition(connection, search, is_alone=not conditions))
    if search.after is not None:
        position = _position(connection, search.key, search.after)
        sign = ">" if search.ascending else "<"
        conditions.append((f"({search.key}, session_id) {sign} (?, ?)", (position, search.after)))
    where = f"WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
    direction = "ASC" if search.ascending else "DESC"
    query = (
        f"SELECT {', '.join(columns)} FROM session {where} "
        f"ORDER BY {search.key} {direction}, session_id {direction} LIMIT ?"
    )
    parameters = [value for _, values in conditions for value in values]
    return connection.execute(query, (*parameters, search.limit)).fetchall()


def _position(connection: sqlite3.Connection, key: str, session_id: str) -> Any:
    query = f"SELECT {key} FROM session WHERE session_id = ?"
    row = connection.execute(query, (session_id,)).fetchone()
    if row is None:
        message = f"after={session_id!r}: there is no session of this id in the store"
        raise ConfigurationError(message)
    return row[0]


def _text_condition(
    connection: sqlite3.Connection, search: Search, *, is_alone: bool
) -> tuple[str, Sequence[Any]]:
    """Return the condition that all words of a text were said in one turn of a session."""
    words = re.findall(r"\w+", search.text or "")
    if not words:
        return "0", ()
    query = " ".join(f'"{word}"' for word in words)
    # The last word may be half typed; but one letter is not looked for at the start of every word.
    half = f"{query}*" if len(words[-1]) > 1 or not words[-1].isascii() else None
    is_first_page = search.after is None and search.limit <= _MAX_FOUND
    if not (is_alone and is_first_page and search.order_by == "last" and not search.ascending):
        condition = Condition(_WITH_TEXT, _HAS_TEXT, (half or query,))
        return condition.best(connection), condition.parameters
    found = dict.fromkeys(_matching(connection, query))
    # What begins with the last word takes long to find only if it is frequent itself.
    if len(found) < _MAX_FOUND and half is not None:
        found |= dict.fromkeys(_matching(connection, half))
    newest = list(islice(found, _MAX_FOUND))
    return f"session_id IN ({', '.join('?' * len(newest))})", newest


def _matching(connection: sqlite3.Connection, query: str) -> Iterator[str]:
    """Yield the sessions that match a query to the full-text index, the last first."""
    found = set[str]()
    cursor = connection.execute(f"{_WITH_TEXT} ORDER BY turn_text.rowid DESC", (query,))
    for (session,) in cursor:
        if session and session not in found:
            found.add(session)
            yield session
            if len(found) >= _MAX_FOUND:
                return


def _nanoseconds(moment: "datetime | timedelta") -> int:
    """Return *moment*, or the time of so long before now, as SQLite can be given it."""
    if isinstance(moment, timedelta):
        nanoseconds = time_ns() - moment // _MICROSECOND * 1000
    else:
        # Near the ends of the calendar it may have no name in another zone.
        aware = moment if moment.tzinfo is not None else _local(moment)
        nanoseconds = (aware - _EPOCH) // _MICROSECOND * 1000
    return min(max(nanoseconds, -_LATEST), _LATEST)


def _local(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return moment.replace(tzinfo=UTC)
