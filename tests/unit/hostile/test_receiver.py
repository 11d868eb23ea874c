"""Whatever is sent as spans, the answer says what became of it, and the store can be read."""

import json
from contextlib import closing

import pytest
from hypothesis import given, settings

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.intake import Intake
from clew.store.otlp import to_json, to_protobuf
from clew.store.reader import spans_of_trace
from clew.store.receiver import JSON, PROTOBUF, Receiver
from clew.store.record import SpanRecord
from tests.support.conversation_spans import turn
from tests.support.hostile_spans import hostile_session
from tests.unit.hostile.inputs import changes, damage

SPANS = [*turn("a"), *hostile_session(1)[:2]]
REQUESTS = [json.loads(to_json(SPANS)), json.loads(to_json(turn("b")))]
PACKED = [to_protobuf(SPANS), to_protobuf(turn("b"))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A receiver, and the file into which it puts all spans of this module."""
    path = tmp_path_factory.mktemp("hostile") / "sessions.db"
    with closing(Intake(path)) as intake:
        yield Receiver(intake), path


def send(receiver, body, media_type):
    headers = {"Host": "localhost", "Content-Type": media_type}
    return receiver("POST", "/v1/traces", headers, body).status


def read_all(path):
    """Read all sessions to the end, as the page does."""
    with SessionStore(path) as store:
        found = store.list(limit=100_000)
        assert found
        return [turn.input.text for session in found for turn in session.turns]


@settings(max_examples=150)
@given(request_=changes(REQUESTS))
def test_json_that_was_changed(kept, request_):
    receiver, path = kept
    assert send(receiver, json.dumps(request_).encode(), JSON) in {200, 400, 413}
    assert send(receiver, to_json(turn("whole")), JSON) == 200
    read_all(path)


@settings(max_examples=150)
@given(damage(PACKED))
def test_protobuf_that_was_changed(kept, body):
    receiver, path = kept
    assert send(receiver, body, PROTOBUF) in {200, 400, 413}
    assert send(receiver, to_json(turn("whole")), JSON) == 200
    read_all(path)


ID = bytes(range(16)), bytes(range(8))


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, "session_id", ("session_id", "cost"), ("x",), {"a": 1}, b"x"]
)
def test_an_attribute_without_a_name_leaves_the_store_readable(kept, value):
    """Its place in the store is taken: no session could be read, or its ids were gone."""
    receiver, path = kept
    record = SpanRecord(*ID, None, "s", 1, 2, {"": value, "session.id": "chat-42", "k": "v"})
    with closing(connect(path, create=True)) as connection:
        connection.execute("DELETE FROM span WHERE trace_id = ?", ID[:1])
        connection.commit()
    assert send(receiver, to_protobuf([record]), PROTOBUF) == 200
    with closing(connect(path, read_only=True)) as connection:
        (found,) = spans_of_trace(connection, ID[0])
    assert found.attributes == {"session.id": "chat-42", "k": "v"}
    read_all(path)


def test_a_store_in_which_such_an_attribute_is_can_be_read(kept):
    receiver, path = kept
    record = SpanRecord(ID[0][::-1], ID[1], None, "s", 1, 2, {"session.id": "chat-43"})
    assert send(receiver, to_protobuf([record]), PROTOBUF) == 200
    with closing(connect(path, create=True)) as connection:
        connection.execute("UPDATE span SET attributes = '{\"\":null}' WHERE trace_id = ?", ID[:1])
        connection.execute(
            "UPDATE span SET attributes = '{\"\":null}' WHERE trace_id = ?", (record.trace_id,)
        )
        connection.commit()
    with closing(connect(path, read_only=True)) as connection:
        (found,) = spans_of_trace(connection, record.trace_id)
    assert found.attributes == {"session.id": "chat-43"}
