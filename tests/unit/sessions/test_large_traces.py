"""A large trace is read once, and nobody who writes has to wait for it."""

from contextlib import closing
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from clew.sessions import next_traces, summaries
from clew.sessions.deletion import forget_session
from clew.sessions.summaries import bring_up_to_date
from clew.store.database import connect, transaction
from clew.store.reader import spans_after
from clew.store.writer import Writer
from tests.support.conversation_spans import turn
from tests.unit.sessions.conversations import SESSIONS, records
from tests.unit.sessions.test_summaries import Stores, compare_with_fresh_store, writers

LARGE = 6
LIMITS = {"_SPANS_PER_STEP": 2, "_SPANS_PER_SHORT_STEP": 1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spans.db"


@pytest.fixture
def connection(path):
    with closing(connect(path, create=True)) as opened:
        yield opened


@pytest.fixture
def read(monkeypatch):
    """Return the traces that are read, in their order; of few spans are all but the smallest."""
    found = []

    def read_trace(connection, trace):
        found.append(trace)
        return next_traces.read_trace(connection, trace)

    monkeypatch.setattr(summaries, "read_trace", read_trace)
    monkeypatch.setattr(next_traces, "_SPANS_OF_LARGE", LARGE)
    for name, value in LIMITS.items():
        monkeypatch.setattr(summaries, name, value)
    return found


@pytest.fixture
def meanwhile(read, monkeypatch):
    """Return a list of what is done after a trace was read, before its turns are written."""
    todo = []
    counting = summaries.read_trace

    def read_trace(connection, trace):
        found = counting(connection, trace)
        if todo:
            todo.pop(0)()
        return found

    monkeypatch.setattr(summaries, "read_trace", read_trace)
    return todo


def large(session, calls=20):
    """Return the spans of a turn with so many calls of a tool."""
    tool, *others = turn(session)
    called = [
        replace(tool, span_id=number.to_bytes(8, "big"), start=tool.start + number)
        for number in range(calls)
    ]
    return [*called, *others]


def small(number, session="small"):
    """Return the one span of a turn."""
    span, _ = turn(session, number=number, tool=False)
    return replace(span, parent_id=None)


def notes(connection):
    return connection.execute("SELECT * FROM progress WHERE name LIKE 'trace:%'").fetchall()


@pytest.mark.parametrize("seconds", [0.0, float("inf")])
def test_a_trace_is_read_once_however_its_spans_are_spread(path, connection, read, seconds):
    mixed = [
        span
        for number, group in enumerate(zip(large("one"), large("two"), strict=True))
        for span in (*group, small(number), small(number + 100))
    ]
    Writer(connection).add(mixed)
    calls = 1
    while not bring_up_to_date(connection, seconds):
        calls += 1
    assert calls > len(mixed) / 4 or seconds
    assert len(read) == len(set(read)) == len({span.trace_id for span in mixed})
    assert notes(connection) == []
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_small_traces_that_are_interleaved_are_read_once_too(path, connection, read):
    groups = [large(f"session-{number}", calls=LARGE - 3) for number in range(10)]
    assert all(len(spans) <= LARGE for spans in groups)
    Writer(connection).add([span for group in zip(*groups, strict=True) for span in group])
    bring_up_to_date(connection)
    assert len(read) == len(groups)
    assert notes(connection) == []
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_others_write_while_a_large_trace_is_read(path, connection, meanwhile):
    written = []

    def write():
        with closing(connect(path, timeout=0)) as other, transaction(other):
            written.append(True)

    meanwhile.append(write)
    Writer(connection).add(large("one"))
    bring_up_to_date(connection)
    assert written


def test_others_write_while_much_is_summarised(path, connection, monkeypatch):
    written = []

    def pause(seconds):
        with closing(connect(path, timeout=0)) as other, transaction(other):
            written.append(seconds)

    monkeypatch.setattr(summaries, "sleep", pause)
    monkeypatch.setattr(summaries, "_SECONDS_WITHOUT_PAUSE", -1)
    monkeypatch.setattr(summaries, "_SPANS_PER_STEP", 10)
    Writer(connection).add([small(number) for number in range(30)])
    bring_up_to_date(connection)
    assert len(written) == 3
    assert min(written) > 0


def test_spans_that_come_while_a_trace_is_read_are_summarised_too(path, connection, meanwhile):
    *spans, late = large("one")

    def write():
        with closing(connect(path)) as other:
            Writer(other).add([late])

    meanwhile.append(write)
    Writer(connection).add(spans)
    bring_up_to_date(connection)
    assert not meanwhile
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_what_is_deleted_while_it_is_read_does_not_come_back(path, connection, meanwhile):
    def forget():
        with closing(connect(path)) as other:
            forget_session(other, "one")

    meanwhile.append(forget)
    Writer(connection).add([*large("one"), small(1)])
    bring_up_to_date(connection)
    assert [it for (it,) in connection.execute("SELECT session_id FROM session")] == ["small"]
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_a_part_that_is_deleted_while_the_trace_is_read_does_not_come_back(
    path, connection, meanwhile
):
    spans = large("one")
    others = [
        replace(it, span_id=b"x" + it.span_id[1:], attributes={**it.attributes, "session.id": "b"})
        for it in spans
    ]

    def delete():  # As whoever copies from an engine does, who summarises nothing else.
        with closing(connect(path)) as other, transaction(other):
            other.execute("DELETE FROM span WHERE session_id = 'b'")
            summaries.refresh(other, [spans[0].trace_id])

    meanwhile.append(delete)
    Writer(connection).add([*spans, *others])
    bring_up_to_date(connection)
    assert [it for (it,) in connection.execute("SELECT session_id FROM session")] == ["one"]
    assert len(spans_after(connection)) == len(spans)
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_another_process_may_summarise_the_same_trace_meanwhile(path, connection, meanwhile):
    *spans, late = large("one")

    def go_on():
        with closing(connect(path)) as other:
            Writer(other).add([late])
            bring_up_to_date(other)

    meanwhile.append(go_on)
    Writer(connection).add(spans)
    bring_up_to_date(connection)
    (found,) = connection.execute("SELECT spans FROM session").fetchone()
    assert found == len(spans) + 1
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


def test_notes_of_what_was_read_end_with_the_rules_that_it_was_read_by(
    path, connection, read, monkeypatch
):
    Writer(connection).add(large("one"))
    bring_up_to_date(connection, 0.0)
    assert notes(connection)
    monkeypatch.setattr(summaries, "RULES", summaries.RULES + 1)
    bring_up_to_date(connection)
    assert len(read) == 2
    compare_with_fresh_store(connection, path.with_name("fresh.db"))


class SmallSteps(Stores):
    """Every trace of two spans is large, and others do something after it was read."""

    def __init__(self):
        super().__init__()
        self.meanwhile = []
        self.patches = [
            mock.patch.object(next_traces, "_SPANS_OF_LARGE", 1),
            mock.patch.multiple(summaries, read_trace=self.read_trace, **LIMITS),
        ]
        for patch in self.patches:
            patch.start()

    def read_trace(self, connection, trace):
        found = next_traces.read_trace(connection, trace)
        if self.meanwhile and not connection.in_transaction:
            self.meanwhile.pop()()
        return found

    @rule(
        writer=writers,
        other=writers,
        seconds=st.sampled_from([0.0, float("inf")]),
        batch=st.lists(records(), min_size=1, max_size=3),
        session=st.sampled_from([None, *SESSIONS]),
    )
    def summarise_meanwhile(self, writer, other, seconds, batch, session):
        self.meanwhile = [
            lambda: self.write(other, batch),
            lambda: bring_up_to_date(self.connection(other), seconds),
        ]
        if session is not None:
            self.meanwhile.insert(0, lambda: self.forget_a_session(other, session))
        bring_up_to_date(self.connection(writer))
        self.meanwhile = []

    def teardown(self):
        try:
            super().teardown()
        finally:
            for patch in self.patches:
                patch.stop()


TestSmallSteps = SmallSteps.TestCase
TestSmallSteps.pytestmark = [pytest.mark.slow]
TestSmallSteps.settings = settings(
    max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck), deadline=None
)
