"""Asks a store everything, and says where its answers are not those of `PlainAnswers`."""

import json
from datetime import timedelta
from functools import cache
from itertools import chain

from clew.evaluations.metrics.definition import named
from clew.evaluations.metrics.figures import figures
from clew.sessions.store import SessionNotFoundError
from tests.support.generated_stores import MODELS, TOOLS, USERS
from tests.support.plain_queries import QUERIES
from tests.support.plain_search import EPOCH, GROUPS, METRICS, ORDERS, grouped, listed, same

VIEWS = {
    "spans": ("trace_id", "span_id"),
    "turns": ("session_id", "trace_id", "root_id"),
    "sessions": ("session_id",),
    "user_sessions": ("user_id", "session_id"),
    "evaluations": ("session_id", "trace_id", "name", "label"),
}
QUESTIONS = ("days", "totals", "users", "errors")
LISTS = frozenset({"models", "frameworks", "tools", "tags", "metadata"})
"""Columns with JSON, which are compared as what they say."""
TEXTS = (
    *("order", "ORDER a 17", "strasse", "straße", "naive caf", "sure_l", "右から左へ", "100 %"),
    *("drop table", "x", "?", "wrong i said", "lodz", "łodz", "n", "huma", "human want"),
)
DAY = timedelta(days=1)
MIDNIGHT = EPOCH + timedelta(days=20_600)
CONDITIONS = (
    *({"user": it} for it in USERS if it),
    *({"model": it} for it in MODELS if it),
    *({"tool": it} for it in TOOLS),
    {"framework": "openai"},
    *({"tag": it} for it in ("red", "blau", "RED")),
    {"metadata": {"release": "1.1"}},
    {"metadata": {"beta": True, "n": 3}},
    {"metadata": {"beta": "true"}},
    {"metadata": {"missing": 1}},
    *({"errors": it} for it in (True, False)),
    *({"rated": it} for it in ("good", "bad", "any")),
    *({"text": it} for it in TEXTS),
    *({"since": MIDNIGHT + number * DAY} for number in (-1, 0, 1, 3)),
    *({"until": MIDNIGHT + number * DAY} for number in (-1, 0, 1, 3)),
    {"since": MIDNIGHT, "until": MIDNIGHT + DAY, "model": "claude"},
    {"user": "ada", "errors": True, "text": "order"},
)


def plain_differences(store, plain, *, splits=False):
    """Return a line for each answer of *store* that is not that of *plain*.

    With *splits*, spans and what was found in them are in two places, and not asked for together.
    """
    return list(
        chain(
            _views(store, plain),
            _questions(store, plain),
            _queries(store, plain, splits=splits),
            _lists(store, plain),
            _pages(store, plain),
            _sessions(store, plain),
            _metrics(store, plain),
        )
    )


def _views(store, plain):
    for view, keys in VIEWS.items():
        expected = sorted(getattr(plain, view), key=lambda it: _key(it, keys))
        columns = list(expected[0]) if expected else ["*"]
        order = ", ".join(keys)
        found = store.sql(f"SELECT {', '.join(columns)} FROM {view} ORDER BY {order}")
        yield from _rows(view, expected, list(map(_read, found)))


def _key(row, keys):
    return [(row[it] is not None, row[it] or "") for it in keys]


def _read(row):
    return {name: json.loads(it) if name in LISTS else it for name, it in row.items()}


def _questions(store, plain):
    for question in QUESTIONS:
        yield from _rows(question, getattr(plain, question)(), list(store.ask(question)))
    yield from _rows("store.users()", plain.users(), list(store.users()))


def _queries(store, plain, *, splits):
    for query, expected in QUERIES.items():
        if splits and "spans AS s JOIN turns" in query:
            continue
        found = store.sql(query)
        rows = [dict(zip(found.columns, it, strict=True)) for it in expected(plain)]
        yield from _rows(query, rows, list(found))
        yield from _rows(f"rows: {query}", rows, list(store.rows(query)))


def _lists(store, plain):
    for order in ORDERS:
        for ascending in (False, True):
            yield from _list(store, plain, order_by=order, ascending=ascending)
    for condition in CONDITIONS:
        yield from _list(store, plain, **condition)
        yield from _list(store, plain, **condition, order_by="cost", ascending=True, limit=2)


def _list(store, plain, **search):
    expected = listed(plain, **search)
    found = [it.id for it in store.list(**search)]
    if expected != found:
        yield f"list({search}): {expected} expected, {found} found"


def _pages(store, plain):
    for order in ORDERS:
        for ascending in (False, True):
            search = {"order_by": order, "ascending": ascending, "limit": 3}
            after, read = None, []
            while page := [it.id for it in store.list(**search, after=after)]:
                expected = listed(plain, **search, after=after)
                if page != expected:
                    yield f"list({search}, after={after!r}): {expected} expected, {page} found"
                    break
                read += page
                after = page[-1]
            else:
                if len(read) != len(plain.sessions):
                    yield f"pages of {search}: {len(plain.sessions)} expected, {len(read)} found"


def _sessions(store, plain):
    for row in plain.sessions:
        try:
            session = store.get(row["session_id"])
        except SessionNotFoundError as error:
            yield f"get({row['session_id']!r}): {error}"
            continue
        found = {name: getattr(session, name) for name in _SAME}
        found |= {
            "user_id": session.user_id or None,
            "total_tokens": session.tokens.total,
            "first_bad_turn": session.first_bad_turn and session.first_bad_turn.turn,
            "worst_turn": session.worst_turn and session.worst_turn.turn,
            "turns": len(session.turns),
            **{name: list(getattr(session, name)) for name in ("models", "frameworks", "tools")},
        }
        yield from _rows(f"get({session.id!r})", [{name: row[name] for name in found}], [found])
        turns = [_turn(it, it.friction, it.failure) for it in session.turns]
        expected = [_turn(it, of["friction"], of["failure"]) for it, of in plain.shown[session.id]]
        yield from _rows(f"get({session.id!r}).turns", expected, turns)


_SAME = (
    *("users", "seconds", "think_seconds", "spans", "model_calls", "tool_calls", "retrievals"),
    *("cost", "errors", "failed_turns", "latency_p50", "latency_p95", "first_token_p50"),
    *("first_message", "last_message", "friction", "failure"),
)
"""What is called the same in `Session` and in the view."""


def _turn(it, friction, failure):
    return {
        "root": it.root_id,
        "input": it.input,
        "output": it.output,
        "calls": it.calls,
        "tags": it.tags,
        "metadata": dict(it.metadata),
        "friction": friction,
        "failure": failure,
    }


def _metrics(store, plain):
    for name, of in METRICS.items():
        metric = _metric(name)
        for by in GROUPS:
            answer = figures(store, metric, by=by)
            overall = [{"value": answer.overall.value}]
            yield from _rows(name, [{"value": of(plain.sessions)}], overall)
            found = {it.group: it.value for it in answer.groups}
            yield from _rows(f"{name} by {by}", [grouped(plain, name, by)], [found])
    for condition in ({"user": "ada"}, {"errors": True}, {"model": "claude"}):
        names = listed(plain, **condition, limit=10_000)
        rows = [it for it in plain.sessions if it["session_id"] in names]
        found = figures(store, _metric("turns"), filters=condition).overall.value
        expected = METRICS["turns"](rows)
        yield from _rows(f"turns of {condition}", [{"value": expected}], [{"value": found}])


@cache
def _metric(name):
    return named(name)


def _rows(question, expected, found):
    if len(expected) != len(found):
        yield f"{question}: {len(expected)} rows expected, {len(found)} found"
        return
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one.keys() != other.keys():
            yield f"{question}: {list(one)} expected, {list(other)} found"
            return
        for name, value in one.items():
            if not same(value, other[name]):
                values = f"{value!r:.120} expected, {other[name]!r:.120} found"
                yield f"{question}: row {number}, {name}: {values}"
