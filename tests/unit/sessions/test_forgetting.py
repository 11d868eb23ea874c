"""What is forgotten is gone: from the tables, the index, and the bytes of the files."""

import pytest

from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.record import SpanRecord
from clew.store.writer import Writer

SECRETS = ("zanzibarquestion", "zanzibaranswer", "zanzibaruser", "zanzibarsession")


def turn(number, user, session, question, answer):
    return SpanRecord(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=None,
        name="chain",
        start=number * 10**9,
        end=(number + 1) * 10**9,
        attributes={
            "openinference.span.kind": "CHAIN",
            "session.id": session,
            "user.id": user,
            "input.value": question,
            "output.value": answer,
        },
    )


@pytest.mark.parametrize("by", ["session", "user"])
@pytest.mark.parametrize("others", [0, 200])
def test_nothing_of_it_is_left_in_the_files(tmp_path, by, others):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    question, answer, user, session = SECRETS
    for number in range(1, 2 + others):
        Writer(connection).add([turn(number, "bob", f"s{number % 9}", "saddle", f"wheel {number}")])
    for number in range(1000, 1004):
        long = " ".join([question, *map(str, range(2000))])
        Writer(connection).add([turn(number, user, session, long, answer)])
    connection.close()
    with SessionStore(path) as store:
        assert [it.id for it in store.list(text=question)] == [session]
        deleted = store.forget(**{by: session if by == "session" else user})
        assert deleted == (4, 4)
        assert store.list(text=question) == []
        assert store.list(text="saddle")
        assert store.forget(**{by: session if by == "session" else user}) == (0, 0)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert [it for it in SECRETS if it.encode() in content] == [], file


def test_other_sessions_of_the_user_and_other_users_of_the_session_stay(tmp_path):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    Writer(connection).add(
        [
            turn(1, "ada", "s1", "one", "yes"),
            turn(2, "bob", "s1", "two", "yes"),
            turn(3, "ada", "s2", "three", "yes"),
        ]
    )
    connection.close()
    with SessionStore(path) as store:
        assert store.forget(user="ada") == (2, 2)
        (left,) = store.list()
        assert (left.id, left.user_id, [it.input.text for it in left.turns]) == (
            "s1",
            "bob",
            ["two"],
        )
        assert [row["user_id"] for row in store.users()] == ["bob"]


@pytest.mark.parametrize("given", [{}, {"session": "s1", "user": "ada"}])
def test_either_a_session_or_a_user_is_named(tmp_path, given):
    path = tmp_path / "spans.db"
    connect(path, create=True).close()
    with SessionStore(path) as store, pytest.raises(TypeError, match="either session= or user="):
        store.forget(**given)
