"""Reads from the store what an expression asks of each session: columns, and what was evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import fsum
from typing import TYPE_CHECKING, Any

from clew.evaluations.metrics.errors import MetricError, did_you_mean
from clew.evaluations.metrics.expression import Expression
from clew.evaluations.metrics.nodes import COLUMNS, Field, Node, bound, fields
from clew.sessions.listing import Search

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

FILTERS = ("user", "model", "framework", "tool", "tag", "metadata", "text", "errors", "rated")
"""What sessions can be chosen by, as in `SessionStore.list`."""
_UNKNOWN = "unknown"
"""The label of an evaluator that could not tell."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions are asked, in SQL."""

    condition: str
    parameters: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The values of some fields for each session that was chosen."""

    node: Node
    """The expression that asks for them: a name in it that is no column is an evaluation's."""
    fields: tuple[Field, ...]
    by_session: dict[str, tuple[Any, ...]]
    first_ns: dict[str, int]
    """When each session began."""


def selection(
    store: "Conversations",
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    filters: Mapping[str, Any] | None = None,
) -> Selection:
    """Return which sessions are asked, given what `SessionStore.list` is given."""
    given = {name: it for name, it in (filters or {}).items() if it is not None}
    for name in given:
        if name not in FILTERS:
            message = (
                f"sessions are not chosen by {name!r}{did_you_mean(name, FILTERS)}; "
                f"they are by {', '.join(FILTERS)}, since and until"
            )
            raise MetricError(message)
    text = given.get("text")
    search = Search(since=since, until=until, **given)
    found = [(it.lookup, it.parameters) for it in search.conditions()]
    if text is not None:
        found.append(store.text_lookup(text))
    condition = " AND ".join(f"session_id IN ({lookup})" for lookup, _ in found) or "1"
    return Selection(condition, tuple(it for _, parameters in found for it in parameters))


def rows(store: "Conversations", expression: Expression, chosen: Selection) -> Rows:
    """Return the values of all that *expression* asks, for the sessions that are *chosen*."""
    _check(store, expression)
    node = bound(expression.node)
    own = [it for it in fields(node) if it.part == "column"]
    evaluated = [it for it in fields(node) if it.part != "column"]
    said = _evaluations(store, {it.name for it in evaluated})
    names = ["session_id", "first_ns", *(it.name for it in own)]
    query = f"SELECT {', '.join(dict.fromkeys(names))} FROM sessions WHERE {chosen.condition}"
    by_session, first = {}, {}
    columns = store.sql(query, chosen.parameters).to_columns()
    for session, began, *values in zip(*(columns[it] for it in names), strict=True):
        others = (said.get((it.name, it.part), {}).get(session) for it in evaluated)
        by_session[session] = (*values, *others)
        first[session] = began
    return Rows(node, (*own, *evaluated), by_session, first)


def _check(store: "Conversations", expression: Expression) -> None:
    """Raise an error if a name is that of no column, and nothing was ever evaluated under it."""
    for field in fields(expression.node):
        if field.part != "column" or field.name in COLUMNS:
            continue  # Of what says that it is an evaluation, there may be one some day.
        query = "SELECT EXISTS (SELECT 1 FROM evaluation WHERE name = ?) AS known"
        if not store.sql(query, (field.name,))[0]["known"]:
            names = store.sql("SELECT DISTINCT name FROM evaluation").to_columns()["name"]
            raise expression.unknown(field, [*COLUMNS, *names])


def only_of_parts(store: "Conversations", expression: Expression) -> list[str]:
    """Return the evaluations that *expression* asks for and that speak of turns or calls only."""
    names = sorted({it.name for it in fields(bound(expression.node)) if it.part != "column"})
    if not names:
        return []
    query = (
        f"SELECT name FROM evaluation WHERE name IN ({', '.join('?' * len(names))}) "
        "GROUP BY name HAVING count(trace_id) = count(*) ORDER BY name"
    )
    found: list[str] = store.sql(query, names).to_columns()["name"]
    return found


def _evaluations(
    store: "Conversations", names: set[str]
) -> dict[tuple[str, str], dict[str, float | str]]:
    """Return what counts of the evaluations of whole sessions, by name and part, by session.

    Where several speak of the same under one name, the score is their mean, and the label that of
    the one added last. What an evaluator said of an earlier state of a session does not count.
    """
    if not names:
        return {}
    query = (
        "SELECT said.session_id, name, score, label FROM current_evaluation AS said "
        "JOIN session ON session.session_id = said.session_id "
        f"WHERE name IN ({', '.join('?' * len(names))}) AND trace_id IS NULL "
        "AND (version = '' OR seen >= last_span) ORDER BY said.id"
    )
    scores: dict[tuple[str, str], list[float]] = {}
    found: dict[tuple[str, str], dict[str, float | str]] = {}
    table = store.sql(query, sorted(names))
    for session, name, score, label in zip(*table.to_columns().values(), strict=True):
        if score is not None:
            scores.setdefault((name, session), []).append(score)
        if label is not None and not (label == _UNKNOWN and score is None):
            found.setdefault((name, "label"), {})[session] = label
    for (name, session), several in scores.items():
        found.setdefault((name, "score"), {})[session] = _mean(several)
    return found


def _mean(values: Sequence[float]) -> float:
    try:
        return fsum(values) / len(values)
    except OverflowError:  # The sum of numbers that are nearly too great.
        return fsum(value / len(values) for value in values)
