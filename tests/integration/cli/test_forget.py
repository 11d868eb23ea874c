"""``clew forget``: a session or a user is deleted, after a question."""

import hmac
import json

import pytest
from click.testing import CliRunner

from clew import evaluations
from clew.cli import main
from clew.context.pseudonyms import Pseudonym
from clew.evaluations import Evaluation
from clew.sessions.store import SessionStore
from clew.store.database import connect
from tests.support.conversation_spans import turn


@pytest.fixture
def sessions(clew):
    """Which sessions there are."""
    return lambda: sorted(it["id"] for it in json.loads(clew("sessions", "--json").stdout))


def test_a_session_is_deleted_when_that_is_confirmed(clew, filled, sessions):
    done = clew("forget", "--session", "chat-42", given="n\n", status=1)
    assert "Delete session 'chat-42': 2 turns, 6 spans? [y/N]" in done.stderr
    assert done.stdout == ""
    clew("forget", "--session", "chat-42", status=1)
    assert "chat-42" in sessions()
    done = clew("forget", "--session", "chat-42", given="y\n")
    assert done.stdout == "Deleted session 'chat-42': 6 spans in 2 traces.\n"
    assert sessions() == ["chat-43", "other"]


def test_a_user_is_deleted(clew, filled, sessions):
    done = clew("forget", "--user", "ada", given="y\n")
    assert "Delete user 'ada': 2 sessions, 3 turns, 9 spans? [y/N]" in done.stderr
    assert sessions() == ["other"]
    done = clew("forget", "--user", "bob", "--yes", "--json")
    assert json.loads(done.stdout) == {"session": None, "user": "bob", "spans": 3, "traces": 1}
    assert sessions() == []


def test_one_that_is_not_there_is_an_error(clew, filled, sessions):
    assert "did you mean" in clew("forget", "--session", "chat-4", "--yes", status=1).stderr
    assert "no user 'adi'" in clew("forget", "--user", "adi", "--yes", status=1).stderr
    assert len(sessions()) == 3


def test_a_user_is_found_by_the_pseudonym(clew, write, sessions):
    key = {"CLEW_USER_ID_KEY": "a key"}
    pseudonym = hmac.new(b"a key", b"ada", "sha256").hexdigest()
    write(turn(user=pseudonym), turn("other", "bob"))
    listed = clew("sessions", "--json", "--user", "ada", **key).stdout
    assert [it["id"] for it in json.loads(listed)] == ["chat-42"]
    assert "no user 'ada'" in clew("forget", "--user", "ada", "--yes", status=1).stderr
    assert "3 spans" in clew("forget", "--user", "ada", "--yes", **key).stdout
    assert sessions() == ["other"]
    assert "3 spans" in clew("forget", "--user", "bob", "--yes", **key).stdout


def test_a_user_is_forgotten_under_the_id_and_the_pseudonym(clew, write, sessions):
    key = {"CLEW_USER_ID_KEY": "a key"}
    pseudonym = hmac.new(b"a key", b"ada", "sha256").hexdigest()
    write(turn("old", "ada"), turn("new", pseudonym), turn("other", "bob"))
    done = clew("forget", "--user", "ada", given="y\n", **key)
    assert "2 sessions, 2 turns, 6 spans? [y/N]" in done.stderr
    assert "6 spans in 2 traces" in done.stdout
    assert sessions() == ["other"]


def test_a_pseudonym_that_missed_its_column_is_forgotten(clew, write, sessions):
    key = {"CLEW_USER_ID_KEY": "a key"}
    pseudonym = Pseudonym(hmac.new(b"a key", b"ada", "sha256").hexdigest())
    write(turn(user=pseudonym), turn("other", "bob"))  # As earlier versions wrote it.
    assert "3 spans" in clew("forget", "--user", "ada", "--yes", **key).stdout
    assert sessions() == ["other"]


def test_a_user_who_has_only_rated_is_forgotten(clew, path, filled, sessions):
    with SessionStore(path) as store:
        given = {"label": "good", "annotator_kind": "HUMAN", "identifier": "eve"}
        evaluations.add(store, Evaluation("thumbs", session_id="chat-43", **given))
    done = clew("forget", "--user", "eve", given="y\n")
    assert "Delete user 'eve': 0 sessions, 0 turns, 0 spans, 1 evaluation? [y/N]" in done.stderr
    assert len(sessions()) == 3
    assert "no user 'eve'" in clew("forget", "--user", "eve", "--yes", status=1).stderr


def test_what_somebody_reads_is_forgotten_the_second_time(clew, path, filled, sessions):
    reader = connect(path, read_only=True)
    clew("sessions")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM span").fetchone()
    done = clew("forget", "--user", "ada", "--yes", status=1)
    assert done.stdout == "Deleted user 'ada': 9 spans in 3 traces.\n"
    assert "still in the files" in done.stderr
    assert sessions() == ["other"]
    assert any(b"Parcels take two days." in it.read_bytes() for it in path.parent.iterdir())
    assert "still in the files" in clew("forget", "--user", "ada", "--yes", status=1).stderr
    reader.execute("COMMIT")
    assert "no user 'ada'" in clew("forget", "--user", "ada", "--yes", status=1).stderr
    # While another connection is still open, which would empty the log when it is closed.
    assert not any(b"Parcels take two days." in it.read_bytes() for it in path.parent.iterdir())
    reader.close()


def test_it_wants_one_of_both(clew, filled):
    assert "either" in clew("forget", "--yes", status=2).stderr
    clew("forget", "--yes", "--user", "ada", "--session", "chat-42", status=2)


def test_evaluations_of_a_session_are_counted_and_deleted(clew, path, filled):
    with SessionStore(path) as store:
        given = (Evaluation("a", score=score, session_id="chat-42") for score in (0, 1))
        evaluations.add(store, *given, Evaluation("a", score=1, session_id="never came"))
        done = clew("forget", "--session", "chat-42", given="y\n")
        assert "2 turns, 6 spans, 2 evaluations? [y/N]" in done.stderr
        assert [it.session_id for it in evaluations.history(store)] == ["never came"]
        clew("forget", "--session", "never came", "--yes")
        assert evaluations.history(store) == []


def test_sessions_are_found_by_what_was_said_about_them(clew, path, filled):
    with SessionStore(path) as store:
        given = {"score": 0, "label": "bad", "annotator_kind": "HUMAN"}
        evaluations.add(store, Evaluation("thumbs", session_id="chat-43", **given))
    assert "chat-43" in clew("sessions", "--rated", "bad").stdout
    assert "chat-42" not in clew("sessions", "--rated", "bad").stdout


@pytest.mark.parametrize(("option", "given"), [("--session", "chat-42"), ("--user", "ada")])
def test_what_comes_after_the_count_is_not_deleted(path, write, monkeypatch, option, given):
    write(turn("other", "bob"))

    def not_found(store, _):
        write(turn("chat-42", "ada"))  # An application's batch arrives now.
        evaluations.add(store, Evaluation("thumbs", label="good", session_id="chat-42"))
        return "not found"

    monkeypatch.setattr("clew.cli.forget.unknown", not_found)
    monkeypatch.setattr("clew.cli.forget.unknown_user", not_found)
    done = CliRunner().invoke(main, ["forget", "--store", str(path), option, given])
    assert done.exit_code == 1
    assert "not found" in done.output
    with SessionStore(path) as store:
        assert {it.id for it in store.list()} == {"chat-42", "other"}
        assert len(evaluations.history(store)) == 1
