"""What is forgotten is gone: from the tables, the index, and the bytes of the files."""

from dataclasses import replace
from unittest.mock import Mock

import pytest

from clew.context.pseudonyms import Pseudonym
from clew.sessions import deletion
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.support.conversation_spans import rating

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
            **({"user.id": user} if user else {}),
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


def test_who_has_only_rated_does_not_take_the_conversation_along(tmp_path):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    rated = turn(1, None, "s1", "one", "yes")
    Writer(connection).add([rated, rating(rated, "bob")])
    connection.close()
    with SessionStore(path) as store:
        assert store.list(rated="any")
        assert store.forget(user="bob") == (1, 1)
        assert [it.input.text for it in store.get("s1").turns] == ["one"]
        assert store.list(rated="any") == []


def test_spans_without_a_user_go_with_the_turn_of_a_user(tmp_path):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    asked = turn(1, "ada", "s1", "one", "yes")
    inside = replace(turn(1, None, "s1", "", ""), span_id=b"inside..", parent_id=asked.span_id)
    Writer(connection).add([asked, inside, turn(2, None, "s1", "two", "no")])
    connection.close()
    with SessionStore(path) as store:
        assert store.forget(user="ada") == (2, 1)
        assert [it.input.text for it in store.get("s1").turns] == ["two"]


def test_users_are_found_whose_ids_missed_the_column(tmp_path):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    pseudonym = Pseudonym("ada")
    # As earlier versions wrote them.
    asked = turn(1, pseudonym, "s1", "one", "yes")
    of_another = replace(turn(1, Pseudonym("bob"), "s1", "two", "no"), span_id=b"another.")
    Writer(connection).add([asked, of_another, turn(2, "ada", "s2", "three", "yes")])
    assert connection.execute("SELECT count(user_id) FROM span").fetchone() == (1,)
    connection.close()
    with SessionStore(path) as store:
        assert store.forget(user="ada") == (2, 2)
        assert [it.user_id for it in store.list()] == ["bob"]
        assert store.sql("SELECT count(*) AS spans FROM spans")[0]["spans"] == 1
        assert store.forget(user="ada") == (0, 0)


def test_what_an_interrupted_deletion_left_in_the_index_goes_with_the_next(tmp_path, monkeypatch):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    for number in range(1, 9):
        Writer(connection).add([turn(number, "bob", "s1", f"saddle {number}", "wheel")])
        with SessionStore(path) as store:
            store.list()
    Writer(connection).add([turn(9, "ada", "s2", "zanzibarquestion", "yes")])
    connection.close()
    with SessionStore(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(deletion, "erased", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                store.forget(user="ada")
        assert store.forget(user="ada") == (0, 0)
    assert not [it for it in tmp_path.iterdir() if b"zanzibarquestion" in it.read_bytes()]


@pytest.mark.parametrize("given", [{"session": "zanzibarsession"}, {"user": "zanzibaruser"}])
def test_it_says_what_is_still_in_the_files_because_somebody_reads_them(tmp_path, given):
    path = tmp_path / "spans.db"
    connection = connect(path, create=True)
    question, answer, user, session = SECRETS
    Writer(connection).add([turn(1, user, session, question, answer)])
    with SessionStore(path) as store:
        assert store.list()
        store._connection.execute("PRAGMA busy_timeout = 100")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM span").fetchone()
        for deleted in ((1, 1), (0, 0)):
            with pytest.raises(deletion.StillReadError, match="forget it again") as raised:
                store.forget(**given)
            assert raised.value.deleted == deleted
        assert store.list() == []
        connection.execute("COMMIT")
        assert store.forget(**given) == (0, 0)
        left = [
            it for it in tmp_path.iterdir() for word in SECRETS if word.encode() in it.read_bytes()
        ]
    assert left == []
    connection.close()


@pytest.mark.parametrize("given", [{}, {"session": "s1", "user": "ada"}])
def test_either_a_session_or_a_user_is_named(tmp_path, given):
    path = tmp_path / "spans.db"
    connect(path, create=True).close()
    with SessionStore(path) as store, pytest.raises(TypeError, match="either session= or user="):
        store.forget(**given)
