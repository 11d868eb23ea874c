"""Whatever happens to a store, its summaries are those of the spans that are in it."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clew.sessions.deletion import forget_session, forget_user
from clew.sessions.retention import keep_within
from clew.sessions.scoring import are_scored, score_all
from clew.sessions.store import SessionStore
from clew.sessions.summaries import bring_up_to_date, is_up_to_date
from clew.store.compaction import compact
from clew.store.database import connect
from clew.store.reader import spans_after
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.unit.sessions.conversations import SECOND, SESSIONS, USERS, records, strange_records

TABLES = ("turn", "silent_trace", "session", "session_value", "user_session", "turn_score")
WRITERS = 3
writers = st.integers(0, WRITERS - 1)


def summaries(connection):
    """Return the rows of every table, without the numbers that SQLite gives them."""
    found = {}
    for table in TABLES:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(name for name in names if name not in {"id", "last_span"})
        found[table] = sorted(connection.execute(f"SELECT {columns} FROM {table}"), key=repr)
    return found


def check_index(connection):
    """See that every turn is found by its words, and that nothing else is."""
    connection.execute("INSERT INTO turn_text (turn_text) VALUES ('integrity-check')")
    # For an index whose text is in another table, a search is what shows what it contains.
    for column in ("input", "output"):
        found = connection.execute(
            "SELECT rowid FROM turn_text WHERE turn_text MATCH ? ORDER BY rowid",
            (f"{column}: bicycle",),
        )
        said = connection.execute(
            f"SELECT id FROM turn WHERE {column} LIKE '%bicycle%' ORDER BY id"
        )
        assert found.fetchall() == said.fetchall()


def compare_with_fresh_store(connection, path):
    fresh = connect(path, create=True)
    Writer(fresh).add([record for _, record in spans_after(connection, limit=10**6)])
    bring_up_to_date(fresh)
    for one in (connection, fresh):
        assert score_all(one)
    assert summaries(connection) == summaries(fresh)
    fresh.close()
    path.unlink()


class Stores(RuleBasedStateMachine):
    """Several connections that write, summarise and delete, in any order."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "spans.db"
        self.writers = [Writer(connect(self.path, create=True)) for _ in range(WRITERS)]
        self.expected = {}

    def connection(self, number=0):
        return self.writers[number].connection

    @rule(writer=writers, batch=st.lists(records(), min_size=1, max_size=6))
    def write(self, writer, batch):
        before = len(self.expected)
        for record in batch:
            self.expected.setdefault((record.trace_id, record.span_id), record)
        assert self.writers[writer].add(batch) == len(self.expected) - before

    @rule(writer=writers, seconds=st.sampled_from([0.0, float("inf")]))
    def summarise(self, writer, seconds):
        done = bring_up_to_date(self.connection(writer), seconds)
        assert done == is_up_to_date(self.connection(writer))

    @rule(writer=writers, seconds=st.sampled_from([0.0, float("inf")]))
    def score(self, writer, seconds):
        done = score_all(self.connection(writer), seconds)
        assert done == are_scored(self.connection(writer))

    @rule(writer=writers, seconds=st.sampled_from([0.0, float("inf")]))
    def compress(self, writer, seconds):
        compact(self.connection(writer), seconds)

    @rule(writer=writers, session=st.sampled_from(SESSIONS))
    def forget_a_session(self, writer, session):
        self.forgotten("session.id", session)
        forget_session(self.connection(writer), session)

    @rule(writer=writers, user=st.sampled_from(USERS))
    def forget_a_user(self, writer, user):
        self.forgotten("user.id", user)
        forget_user(self.connection(writer), user)

    def forgotten(self, attribute, value):
        traces = {
            trace
            for (trace, _), record in self.expected.items()
            if record.attributes.get(attribute) == value
        }
        self.expected = {
            key: record
            for key, record in self.expected.items()
            if key[0] not in traces or record.attributes.get(attribute, value) != value
        }

    @rule(writer=writers, seconds=st.integers(0, 10))
    def delete_what_is_old(self, writer, seconds):
        connection, moment = self.connection(writer), seconds * SECOND
        bring_up_to_date(connection)
        sessions = dict(
            connection.execute("SELECT session_id, last_ns < ? FROM session", (moment,))
        )
        before = self.spans_and_sessions(connection)
        keep_within(connection, float("inf"), moment)
        left = self.spans_and_sessions(connection)
        assert left.items() <= before.items()
        for key in before.keys() - left.keys():
            assert sessions.get(before[key], True), "the session is not old"
        old = "SELECT 1 FROM session WHERE last_ns < ?"
        assert connection.execute(old, (moment,)).fetchall() == []
        self.expected = {key: it for key, it in self.expected.items() if key in left}

    def spans_and_sessions(self, connection):
        query = "SELECT trace_id, span_id, session_id FROM span"
        return {(trace, span): of for trace, span, of in connection.execute(query)}

    @invariant()
    def every_span_is_there_that_was_not_deleted(self):
        stored = self.connection().execute("SELECT trace_id, span_id FROM span")
        assert set(stored) == self.expected.keys()

    @rule(writer=writers)
    def compare(self, writer):
        connection = self.connection(writer)
        bring_up_to_date(connection)
        check_index(connection)
        query = (
            "SELECT session_id FROM session WHERE last_span < "
            "(SELECT max(id) FROM span WHERE span.session_id = session.session_id)"
        )
        assert connection.execute(query).fetchall() == []
        compare_with_fresh_store(connection, self.path.with_name("fresh.db"))

    def teardown(self):
        self.compare(0)
        for writer in self.writers:
            writer.connection.close()
        self.folder.cleanup()


TestStores = Stores.TestCase
TestStores.pytestmark = [pytest.mark.slow]
TestStores.settings = settings(
    max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck), deadline=None
)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(strange_records(), max_size=8))
def test_no_span_is_too_strange_for_the_summaries(batch):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spans.db"
        connection = connect(path, create=True)
        Writer(connection).add(batch)
        assert bring_up_to_date(connection)
        connection.close()
        with SessionStore(path) as store:
            for session in store.list():
                assert len(list(session.turns)) == len(session.turns)
            for question in ("users", "totals", "days", "errors"):
                store.ask(question)


def test_turns_of_the_same_moment_are_in_the_same_order_whichever_came_first(tmp_path):
    said = [
        SpanRecord(
            trace_id=bytes([number]) * 16,
            span_id=bytes([number]) * 8,
            parent_id=None,
            name="chain",
            start=SECOND,
            end=2 * SECOND,
            attributes={
                "session.id": "s1",
                "user.id": f"user-{number}",
                "openinference.span.kind": "CHAIN",
                "input.value": f"question {number}",
                "output.value": f"answer {number}",
            },
        )
        for number in (1, 2, 3)
    ]
    found = []
    for order in (said, said[::-1]):
        connection = connect(tmp_path / f"{len(found)}.db", create=True)
        for record in order:
            Writer(connection).add([record])
            bring_up_to_date(connection)
        found.append(summaries(connection))
        connection.close()
    assert found[0] == found[1]
