"""The store is kept within its limits: the oldest sessions go first, and the file shrinks."""

from dataclasses import replace

import pytest

from clew.sessions.retention import keep_within
from clew.sessions.summaries import bring_up_to_date
from clew.store.database import connect, file_size
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn
from tests.support.conversations import Conversations


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    yield connection, path
    connection.close()


def fill(connection, number=60):
    """Write sessions; return their spans by session, the one that ended first at the beginning."""
    made = list(Conversations(users=5).sessions(number))
    for session in made:
        Writer(connection).add(session)
    by_end = sorted(made, key=lambda spans: max(span.end for span in spans))
    return {spans[0].attributes["session.id"]: spans for spans in by_end}


def left(connection):
    return dict(connection.execute("SELECT session_id, count(*) FROM span GROUP BY session_id"))


def test_the_oldest_sessions_go_whole_until_it_is_small_enough(store):
    connection, path = store
    made = fill(connection)
    bring_up_to_date(connection)
    most = file_size(connection) // 2
    assert keep_within(connection, most, None)
    kept = left(connection)
    assert kept == {session: len(made[session]) for session in list(made)[-len(kept) :]}
    assert 0 < len(kept) < 60
    assert file_size(connection) > 0.5 * most  # No more than need be is deleted.
    assert file_size(connection) <= most
    assert path.stat().st_size <= most
    assert path.with_name("spans.db-wal").stat().st_size == 0
    assert {row[0] for row in connection.execute("SELECT session_id FROM session")} == set(kept)


def test_sessions_are_deleted_some_time_after_their_last_span(store):
    connection, _ = store
    made = fill(connection)
    moment = max(span.end for span in list(made.values())[20])
    assert keep_within(connection, float("inf"), moment)
    assert left(connection) == {name: len(made[name]) for name in list(made)[20:]}


def test_within_the_limits_nothing_is_deleted(store):
    connection, _ = store
    made = fill(connection, 5)
    assert keep_within(connection, 1e9, 0)
    assert keep_within(connection, 1e9, None)
    assert len(left(connection)) == len(made)


@pytest.mark.parametrize("attributes", [{}, {"session.id": "s"}, {"input.value": "alone"}])
def test_traces_that_are_no_conversations_are_deleted_too(store, attributes):
    connection, path = store
    spans = [
        SpanRecord(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            parent_id=None,
            name="GET /",
            start=number,
            end=number + 1,
            attributes={"url": "http://localhost/" + "x" * 500, **attributes},
        )
        for number in range(1, 1000)
    ]
    Writer(connection).add(spans)
    most = 420_000
    assert keep_within(connection, most, None)
    assert path.stat().st_size <= most
    (number, first) = connection.execute("SELECT count(*), min(start_ns) FROM span").fetchone()
    assert 100 * ("session.id" not in attributes) < number < 600
    assert first == 1000 - number


def test_it_stops_when_its_time_is_over_and_goes_on_later(store):
    connection, _ = store
    made = fill(connection)
    bring_up_to_date(connection)
    steps = 0
    while not keep_within(connection, 0, None, seconds=0):
        steps += 1
        if steps < len(made):  # The last one goes by its traces.
            assert len(left(connection)) == len(made) - steps
    assert left(connection) == {}
    assert file_size(connection) < 400_000


def test_several_sessions_are_deleted_at_once(store):
    connection, _ = store
    made = fill(connection)
    bring_up_to_date(connection)
    statements = []
    connection.set_trace_callback(statements.append)
    moment = max(span.end for span in list(made.values())[30])
    assert keep_within(connection, float("inf"), moment)
    connection.set_trace_callback(None)
    assert len(left(connection)) == 30
    assert len([it for it in statements if it == "BEGIN IMMEDIATE"]) < 30


def test_of_a_session_that_alone_is_too_much_the_newest_turns_stay(store):
    connection, _ = store
    words = "".join(map(chr, range(0x4E00, 0x9000)))
    for number in range(60):
        Writer(connection).add(turn("live", words, number=number, start=START + number * SECOND))
    bring_up_to_date(connection)
    most = file_size(connection) // 2
    assert keep_within(connection, most, None)
    assert 0.7 * most < file_size(connection) <= most
    (kept,) = connection.execute("SELECT turns FROM session").fetchone()
    moments = [at for (at,) in connection.execute("SELECT start_ns FROM turn ORDER BY start_ns")]
    assert moments == [START + number * SECOND for number in range(60 - kept, 60)]


def of_job(number, session, start, parent=None):
    """Return a span of a job that works for several sessions in one trace."""
    attributes = {"openinference.span.kind": "LLM", "input.value": f"question {number}"}
    return SpanRecord(
        trace_id=b"the trace of job",
        span_id=number.to_bytes(8, "big"),
        parent_id=parent and parent.to_bytes(8, "big"),
        name="job",
        start=start,
        end=start + 1,
        attributes={**attributes, "session.id": session} if session else {"input.value": "job"},
    )


def numbers(connection):
    rows = connection.execute("SELECT span_id FROM span WHERE trace_id = ?", (b"the trace of job",))
    return sorted(int.from_bytes(row[0], "big") for row in rows)


def test_what_others_said_in_the_traces_of_an_old_session_stays(store):
    connection, _ = store
    job = [
        of_job(1, None, 1),
        of_job(2, "old", 2, 1),
        of_job(3, None, 3, 2),
        of_job(4, "lives", 4, 1),
        of_job(5, None, 5, 4),
    ]
    Writer(connection).add([*job, *turn("lives", start=START)])
    assert keep_within(connection, float("inf"), START)
    assert numbers(connection) == [1, 4, 5]
    query = "SELECT session_id, turns FROM session"
    assert connection.execute(query).fetchall() == [("lives", 2)]
    assert keep_within(connection, float("inf"), START)
    assert numbers(connection) == [1, 4, 5]
    assert keep_within(connection, float("inf"), START + 999 * SECOND)
    assert connection.execute("SELECT count(*) FROM span").fetchone() == (0,)


def test_an_old_session_goes_with_all_that_is_only_its_own(store):
    connection, _ = store
    mine = [of_job(1, None, 1), of_job(2, "old", 2, 1), of_job(3, None, 3, 1)]
    Writer(connection).add([*mine, *turn("lives", start=START)])
    assert keep_within(connection, float("inf"), START)
    assert numbers(connection) == []


def test_spans_of_any_time_can_be_deleted(store):
    connection, _ = store
    (spans,) = Conversations().sessions(1)
    Writer(connection).add([replace(span, end=2**64 - 1) for span in spans])
    assert keep_within(connection, 0, None)
    assert left(connection) == {}
