"""The sums by day and by user are those of the sessions, whatever was written or deleted."""

import sqlite3
from random import Random

import pytest

from clew.sessions import summaries
from clew.sessions.deletion import forget_session, forget_user
from clew.sessions.retention import keep_within
from clew.sessions.summaries import bring_up_to_date
from clew.store import database
from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.conversations import Conversations

DAY = 24 * 60 * 60 * SECOND

BY_DAY = """
SELECT part.kind, first_ns / 86400000000000 AS day, part.value, count(*), sum(errors > 0),
    sum(turns), sum(failed_turns), total(cost), sum(cost IS NOT NULL),
    total(latency_p95_ns / 1e9)
FROM session JOIN (
    SELECT session_id, 'all' AS kind, '' AS value FROM session
    UNION ALL SELECT session_id, kind, value FROM session_value WHERE kind IN ('model', 'framework')
) AS part USING (session_id) GROUP BY part.kind, day, part.value
"""
BY_USER = """
SELECT user_id, count(*), sum(turns), max(last_ns), total(total_tokens),
    sum(total_tokens IS NOT NULL), total(cost), sum(cost IS NOT NULL), sum(errors),
    sum(failed_turns), total(latency_ns / 1e9)
FROM user_session GROUP BY user_id
"""
BY_USER_AND_DAY = """
SELECT first_ns / 86400000000000 AS day, user_id, count(*)
FROM user_session GROUP BY day, user_id
"""


def assert_sums_are_right(connection):
    for table, query in (
        ("session_day", BY_DAY),
        ("user_total", BY_USER),
        ("user_day", BY_USER_AND_DAY),
    ):
        kept = sorted(map(rounded, connection.execute(f"SELECT * FROM {table}")))
        assert kept == sorted(map(rounded, connection.execute(query))), table


def rounded(row):
    return [round(value, 9) if isinstance(value, float) else value for value in row]


def some_turns(random, number):
    for index in range(number):
        failed = random.random() < 0.3
        yield turn(
            f"s{random.randint(1, 12)}",
            random.choice(["", "ada", "bob", "eve"]),
            number=index,
            start=START + random.randint(0, 5) * DAY + index * SECOND,
            error="429" if failed else "",
            cost=random.choice([None, 0.001, 1.5]),
            model=random.choice(["a", "b"]),
        )


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_those_of_the_sessions_after_each_change(tmp_path, seed):
    random = Random(seed)
    connection = connect(tmp_path / "spans.db", create=True)
    writer = Writer(connection)
    for number, spans in enumerate(some_turns(random, 40)):
        writer.add(spans[:1])
        bring_up_to_date(connection)
        writer.add(spans)  # More of the same trace.
        bring_up_to_date(connection)
        if number % 10 == 9:
            assert_sums_are_right(connection)
    forget_user(connection, "bob")
    assert_sums_are_right(connection)
    (some,) = connection.execute("SELECT session_id FROM session LIMIT 1").fetchone()
    forget_session(connection, some)
    assert_sums_are_right(connection)
    keep_within(connection, float("inf"), START + 2 * DAY)
    assert_sums_are_right(connection)
    assert connection.execute("SELECT count(*) FROM session_day").fetchone()[0] > 3
    keep_within(connection, float("inf"), START + 99 * DAY)
    for table in ("session_day", "user_total", "user_day"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


def test_other_rules_make_the_sums_anew(tmp_path, monkeypatch):
    connection = connect(tmp_path / "spans.db", create=True)
    for session in Conversations(users=3).sessions(10):
        Writer(connection).add(session)
    bring_up_to_date(connection)
    monkeypatch.setattr(summaries, "RULES", 99)
    bring_up_to_date(connection)
    assert_sums_are_right(connection)
    assert connection.execute("SELECT sum(sessions) FROM user_day").fetchone() == (10,)
    connection.close()


def test_a_store_of_the_first_form_gets_its_sums_and_metadata(tmp_path, monkeypatch):
    """It is written in that form, without what the later ones add, and brought forward then."""
    path = tmp_path / "spans.db"
    first = database._migrations()[:2]
    with monkeypatch.context() as patch:
        patch.setattr(database, "_migrations", lambda: first)
        connection = connect(path, create=True)
        # For the time being, what summaries are made with today.
        connection.execute("ALTER TABLE session ADD COLUMN last_span")
        connection.execute("CREATE TABLE turn_score (session_id)")
        for spans in some_turns(Random(1), 30):
            spans[-1].attributes["metadata"] = (
                '{"release": "1.2", "beta": true, "n": 7, "share": 0.5, "none": null, '
                '"list": [1], "long": "' + "x" * 300 + '"}'
                if len(spans) % 2
                else '{"release": "1.3"}'
            )
            Writer(connection).add(spans)
        # What SQLite does not take for JSON is left out.
        odd = turn("odd", number=99)
        odd[-1].attributes["metadata"] = '{"number": NaN}'
        Writer(connection).add(odd)
        bring_up_to_date(connection)
        connection.execute("DELETE FROM session_value WHERE kind = 'metadata:number'")
        values = set(connection.execute("SELECT * FROM session_value"))
        # As the first form has it.
        connection.execute("DELETE FROM session_value WHERE kind GLOB 'metadata:*'")
        assert values - set(connection.execute("SELECT * FROM session_value"))
        connection.execute("ALTER TABLE session DROP COLUMN last_span")
        connection.execute("DROP TABLE turn_score")
        connection.close()
    newer = connect(path)
    assert set(newer.execute("SELECT * FROM session_value")) == values
    assert_sums_are_right(newer)
    assert newer.execute("SELECT count(*) FROM user_total").fetchone()[0] >= 3
    newer.close()


def test_the_worst_are_those_with_a_bad_turn_then_of_which_most_failed_then_with_errors_then_slow():
    rows = [  # The worst first: friction, failure, turns, failed turns, errors, nanoseconds
        (0.1, 0.9, 9, 1, 1, 1),
        (0.8, 0.0, 9, 0, 0, 1),
        (0.0, 0.0, 1, 1, 9, 1),
        (None, None, 2, 2, 2, 8 * SECOND),
        (0.0, 0.0, 2, 2, 2, 1 * SECOND),
        (0.0, 0.0, 10, 6, 99, 9 * SECOND),
        (0.0, 0.0, 10, 5, 3, 99 * SECOND),
        (0.0, 0.0, 0, 0, 0, 2**62),  # Nothing was said in it, and it took very long.
        (0.0, 0.0, 5, 0, 0, 2 * SECOND),
        (0.0, 0.0, 5, 0, 0, -SECOND),
    ]
    connection = sqlite3.connect(":memory:")
    migration = database._migrations()[3]
    migration = migration[migration.index("worst_order INTEGER GENERATED") :]
    formula = migration[migration.index("GENERATED ALWAYS AS (") : migration.index(") VIRTUAL")]
    connection.execute(
        "CREATE TABLE session (friction REAL, failure REAL, turns INTEGER, failed_turns INTEGER, "
        f"errors INTEGER, latency_p95_ns INTEGER, worst_order INTEGER {formula}))"
    )
    for row in Random(1).sample(rows, len(rows)):
        connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", row)
    ordered = connection.execute(
        "SELECT friction, failure, turns, failed_turns, errors, latency_p95_ns FROM session "
        "ORDER BY worst_order DESC"
    )
    assert list(ordered)[:-2] == rows[:-2]
    connection.close()
