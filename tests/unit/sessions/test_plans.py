"""What SQLite does for each question: none goes through all spans, nor through all turns."""

import itertools
import re
import sqlite3
from functools import partial
from typing import get_args

import pytest

from clew.sessions import listing
from clew.sessions.deletion import forget_session, forget_user
from clew.sessions.listing import Order
from clew.sessions.retention import keep_within
from clew.sessions.store import QUESTIONS, SessionStore
from clew.sessions.summaries import bring_up_to_date

_OF_LITTLE = (
    "CONSTANT",
    "json_each",
    r"turn_text VIRTUAL TABLE INDEX \d+:.",
    "session USING (COVERING )?INDEX session_not_scored",
)
READS_ALL_SESSIONS = {"totals", "days", "users"}
"""Their answers are about every session; the tables of sessions are small."""


@pytest.fixture
def plans(shop, monkeypatch):
    """Note how SQLite answers every query that is made while the fixture is used."""
    found = []

    class Explaining:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, query, parameters=()):
            if query.lstrip().startswith(("SELECT", "--", "WITH")):
                plan = self.connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)
                found.append((query, [step for *_, step in plan]))
            return self.connection.execute(query, parameters)

    monkeypatch.setattr(shop._file, "_connection", Explaining(shop._connection))
    return found


def scans(plans):
    """Return what is read from its beginning to its end, of the tables that grow."""
    return [
        f"{step}, for {query}"
        for query, steps in plans
        for step in steps
        if re.match(rf"SCAN (?!{'|'.join(_OF_LITTLE)})", step)
    ]


def sorted_steps(plans):
    return [step for _, steps in plans for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("order", get_args(Order))
def test_each_order_is_that_of_an_index(shop, plans, order, ascending):
    page = shop.list(order_by=order, ascending=ascending, limit=10)
    shop.list(order_by=order, ascending=ascending, limit=10, after=page[-1].id)
    assert sorted_steps(plans) == []
    # Ten entries of the index are read, not all: it ends with LIMIT, and nothing is sorted.
    assert {step.partition(" USING")[0] for step in scans(plans)} <= {"SCAN session"}
    assert all("USING INDEX session_by_" in step for step in scans(plans))


@pytest.mark.parametrize("few", [listing._FEW, 0])
def test_lists_with_filters_use_indexes(shop, plans, few, monkeypatch):
    first = shop.list(limit=1)[0]
    plans.clear()
    monkeypatch.setattr(listing, "_FEW", few)
    shop.list(user=first.user_id, model=first.models[0], errors=True, since=first.last)
    shop.list(text="bicycle saddle", until=first.last)
    read = {step.split(", for")[0] for step in scans(plans)}
    # What meets a condition is counted up to a limit. Where many do, sessions are gone through.
    assert read - {"SCAN (subquery-1)"} <= {"SCAN session USING INDEX session_by_last"}
    assert ("SCAN session USING INDEX session_by_last" in read) == (few == 0)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT input FROM turns WHERE session_id = ? ORDER BY start_ns",
        "SELECT count(*) FROM turns WHERE session_id IN (?, 'other')",
        "SELECT input FROM sessions JOIN turns USING (session_id) WHERE session_id = ?",
    ],
)
def test_turns_of_a_session_are_found_in_the_view(shop, plans, query):
    session = shop.list(limit=1)[0]
    plans.clear()
    assert shop.sql(query, (session.id,))
    assert scans(plans) == sorted_steps(plans) == []


@pytest.mark.slow  # It makes 20,000 sessions.
def test_lists_among_many_sessions_take_no_more_steps(shop, tmp_path):
    """Steps of SQLite are counted, as times differ from machine to machine."""
    copy = sqlite3.connect(tmp_path / "many.db", isolation_level=None)
    shop._connection.backup(copy)
    copy.execute("BEGIN")
    for table in ("session", "session_value", "user_session"):
        names = [name for _, name, *_ in copy.execute(f"PRAGMA table_info({table})")]
        values = [_OTHERS.get(name, f"this.{name}") for name in names]
        copy.execute(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 340) "
            f"INSERT INTO {table} ({', '.join(names)}) "
            f"SELECT {', '.join(values)} FROM {table} AS this JOIN number"
        )
    copy.execute("COMMIT")
    copy.close()
    with SessionStore(tmp_path / "many.db") as many:
        (row,) = many.sql(
            "SELECT count(*) AS number, count(DISTINCT user_id) AS users FROM sessions"
        )
        assert row["number"] > 20_000
        assert row["users"] > 3_000
        everything = steps(
            many, lambda: many.sql("SELECT sum(length(first_message)) FROM sessions")
        )
        assert everything > 2 * _MOST_STEPS
        far = many.list(limit=1000)[-1]
        searches = ({}, {"errors": True}, {"model": far.models[0]}, {"user": "nobody"})
        for order, search in itertools.product(get_args(Order), searches):
            page = many.list(order_by=order, limit=41, **search)
            others = [page[-1].id] if search and page else [far.id]
            for after in (None, *others):
                taken = steps(
                    many,
                    partial(many.list, order_by=order, limit=41, after=after, **search),
                )
                assert taken < _MOST_STEPS, (order, search, after)


_MOST_STEPS = 40_000
_OTHERS = {
    "session_id": "session_id || '/' || n",
    "user_id": "user_id || '/' || n",
    **{name: f"{name} + n * 600000000000" for name in ("first_ns", "last_ns")},
    # So that those with errors are spread over each order.
    **{name: f"{name} + n * 7919 % 341" for name in ("turns", "total_tokens", "cost")},
    **{name: f"{name} + n * 7919 % 341 * 1000000000" for name in ("duration_ns", "latency_p95_ns")},
}


def steps(store, ask):
    """Return about how many steps SQLite takes for what *ask* does."""
    counted = itertools.count()
    store._connection.set_progress_handler(lambda: next(counted) * 0, 100)
    ask()
    store._connection.set_progress_handler(None, 0)
    return next(counted) * 100


def test_sessions_and_turns_are_found_by_their_ids(shop, plans):
    session = shop.list(limit=1)[0]
    plans.clear()
    found = shop.get(session.id)
    assert len(list(found.turns)) == len(found.turns)
    assert found.turns[-1].trace_id
    assert list(shop.spans(session.id))
    assert len(plans) >= 5
    assert scans(plans) == []


@pytest.mark.parametrize("question", sorted(entry.name[:-4] for entry in QUESTIONS.iterdir()))
def test_no_question_reads_all_spans_or_turns(shop, plans, question):
    shop.ask(question)
    tables = [step.split(",")[0] for step in scans(plans)]
    if question in READS_ALL_SESSIONS:
        assert all(re.match(r"SCAN (session|user_session)\b", step) for step in tables)
    else:
        # Only the entries for what the question is about are in these indexes.
        assert all("USING COVERING INDEX turn_by_error" in step for step in tables)


def test_deleting_and_summarising_use_indexes(shop, tmp_path):
    """What is deleted, and what is new, is found by an index, too."""
    copy = sqlite3.connect(tmp_path / "copy.db", isolation_level=None)
    shop._connection.backup(copy)
    queries = []
    copy.set_trace_callback(queries.append)
    copy.execute("UPDATE progress SET value = 0 WHERE name = 'summarised'")
    bring_up_to_date(copy)
    ids = copy.execute("SELECT session_id, user_id FROM session LIMIT 2").fetchall()
    forget_session(copy, ids[0][0])
    forget_user(copy, ids[1][1])
    (oldest,) = copy.execute("SELECT min(last_ns) FROM session").fetchone()
    keep_within(copy, float("inf"), oldest + 1)
    copy.set_trace_callback(None)
    plans = [
        (query, [step for *_, step in copy.execute(f"EXPLAIN QUERY PLAN {query}")])
        for query in {query for query in queries if re.match(r"SELECT|DELETE|UPDATE", query)}
        if not re.search("pragma|MATCH|turn_text_", query)
    ]
    copy.close()
    assert len(plans) > 20
    assert [step for step in scans(plans) if "LIMIT 2" not in step] == []
