"""Asks two stores the same, and says where their answers differ."""

from itertools import chain, zip_longest
from math import isclose
from pathlib import Path
from typing import NamedTuple, get_args

from clew.evaluations.metrics.figures import figures
from clew.sessions.listing import Order
from tests.support.generated_stores import MODELS, TOOLS, USERS

QUESTIONS = ("days", "totals", "users", "errors")
VIEWS = {
    "sessions": "session_id",
    "turns": "session_id, trace_id, root_id",
    "user_sessions": "user_id, session_id",
    "spans": "trace_id, span_id",
}
FILTERS = (
    *({"user": it} for it in USERS if it),
    *({"model": it} for it in MODELS if it),
    *({"tool": it} for it in TOOLS),
    {"framework": "openai"},
    {"tag": "red"},
    {"metadata": {"release": "1.1"}},
    {"metadata": {"beta": True, "n": 3}},
    {"errors": True},
    {"errors": False},
    {"rated": "good"},
    {"rated": "bad"},
    {"rated": "any"},
    *({"text": it} for it in ("order", "ORDER a 17", "strasse", "straße", "naive caf", "sure_l")),
    *({"text": it} for it in ("右から左へ", "100 %", "drop table", "x", "?", "wrong i said")),
)
METRICS = (
    "friction",
    "failure",
    "cost",
    "turns",
    "errors",
    "latency",
    "tokens",
    "avg(turns)",
    "avg(errors > 0)",
    "sum(total_tokens)",
)
GROUPS = (None, "user", "model", "tool", "tag", "day", "metadata.release", "session")
QUERIES = Path(__file__).with_name("user_queries.sql").read_text("utf-8").split(";\n")[:-1]
"""Questions as users write them."""


def differences(expected, found, *, splits=False):
    """Return a line for each answer of *found* that is not that of *expected*.

    With *splits*, spans and what was found in them are in two places, and not asked for together.
    """
    return list(chain.from_iterable(it.lines for it in compared(expected, found, splits=splits)))


class Compared(NamedTuple):
    """One question, and how the answers of two stores differ."""

    kind: str
    lines: list[str]


def compared(expected, found, *, splits=False):
    """Yield each question with a line for each difference."""
    for kind, lines in _lines(expected, found, splits=splits):
        yield Compared(kind, list(lines))


def _lines(expected, found, *, splits):
    for view, order in VIEWS.items():
        columns = _columns(expected, view)
        query = f"SELECT {', '.join(columns)} FROM {view} ORDER BY {order}"
        yield f"view `{view}`, whole", _rows(query[:40], expected.sql(query), found.sql(query))
    for question in QUESTIONS:
        yield f"question `{question}`", _rows(question, expected.ask(question), found.ask(question))
    for query in QUERIES:
        if not (splits and "spans AS s" in query):
            lines = _rows(query, expected.sql(query), found.sql(query))
            yield "queries as users write them", lines
    for kind, search in _searches():
        a, b = (list(it.list(**search)) for it in (expected, found))
        lines = _rows(f"list({search})", *([_figures(it) for it in some] for some in (a, b)))
        yield kind, lines
    for session in expected.list(limit=1000):
        a, b = session.turns, found.get(session.id).turns
        lines = _rows(f"turns of {session.id!r}", *([_turn(it) for it in some] for some in (a, b)))
        yield "one session, with turns, calls and findings", lines
    for metric in METRICS:
        for by in GROUPS:
            a, b = (figures(it, metric, by=by).groups for it in (expected, found))
            lines = _rows(f"{metric} by {by}", *([_group(it) for it in some] for some in (a, b)))
            yield f"metrics by {by}" if by else "metrics over all", lines


def _columns(store, view):
    """Return the columns of a view but the attributes, in whose JSON keys have no order."""
    row = store.sql(f"SELECT * FROM {view} LIMIT 1")
    return [it for it in row.columns if it != "attributes"]


def _searches():
    for order in get_args(Order):
        for ascending in (False, True):
            kind = "lists of sessions, in each order"
            yield kind, {"order_by": order, "ascending": ascending}
            yield kind, {"order_by": order, "ascending": ascending, "limit": 2}
    for condition in FILTERS:
        kind = f"lists by {' and '.join(condition)}"
        yield kind, condition
        yield kind, {**condition, "order_by": "cost", "limit": 3}


def _figures(session):
    names = [it for it in session.__dataclass_fields__ if it != "turns"]
    return {**{name: getattr(session, name) for name in names}, "turns": len(session.turns)}


def _turn(turn):
    return {
        "root": turn.root_id,
        "input": turn.input,
        "output": turn.output,
        "calls": [
            (it.kind, it.name, it.span_id, it.model, it.arguments, it.result, it.tokens, it.error)
            for it in turn.calls
        ],
        "metadata": dict(turn.metadata),
        "tags": turn.tags,
        "friction": turn.friction,
        "failure": turn.failure,
        "findings": turn.findings,
    }


def _group(group):
    return {"group": group.group, "value": group.value, "sessions": group.sessions}


def _rows(question, expected, found):
    missing = object()
    for number, (a, b) in enumerate(zip_longest(expected, found, fillvalue=missing)):
        if a is missing or b is missing:
            yield f"{question}: {len(expected)} rows expected, {len(found)} found"
            return
        if a.keys() != b.keys():
            yield f"{question}: columns {list(a)} expected, {list(b)} found"
            return
        for name in a:
            if not _same(a[name], b[name]):
                values = f"{a[name]!r:.120} expected, {b[name]!r:.120}"
                yield f"{question}: row {number}, {name}: {values}"


def _same(a, b):
    """Whether two values are equal, and of one type: 1 is not 1.0."""
    if type(a) is not type(b):
        return False
    return isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) if isinstance(a, float) else a == b
