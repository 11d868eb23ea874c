"""``clew sessions`` and ``clew users``: the list, one conversation, mistakes."""

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clew import evaluations
from clew.cli._terminal import columns_of
from clew.evaluations import Evaluation
from clew.evaluations.metrics import figures
from clew.sessions.store import SessionStore
from tests.support.broken_conversations import CALM, conversation
from tests.support.conversation_spans import SECOND, START, turn

EMBEDDING = {"openinference.span.kind": "EMBEDDING", "input.value": "", "output.value": ""}


def rows(done):
    return [line.split() for line in done.stdout.splitlines()]


def test_the_list_has_the_session_used_last_first(clew, filled):
    done = clew("sessions")
    assert [row[0] for row in rows(done)] == ["ID", "other", "chat-43", "chat-42"]
    last = rows(done)[-1]
    assert last[1:4] == ["ada", "2026-05-28", "20:27:41"]
    assert last[4:11] == ["2", "0.07", "1m01s", "240", "$0.0042", "0", "Where"]
    assert "\x1b" not in done.stdout
    assert "429" not in done.stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--user", "ada"], ["chat-43", "chat-42"]),
        (["--errors"], ["chat-43"]),
        (["--no-errors"], ["other", "chat-42"]),
        (["--text", "order a-17"], ["chat-42"]),
        (["--tool", "get_order", "--limit", "1"], ["other"]),
        (["--model", "gpt-4o-mini", "--ascending"], ["chat-42", "chat-43", "other"]),
        (["--order-by", "turns", "--limit", "1"], ["chat-42"]),
        (["--order", "worst", "--limit", "1"], ["chat-43"]),
        (["--metadata", "release=1.2"], []),
        (["--limit", "1", "--after", "other"], ["chat-43"]),
        (["--since", "2026-05-28T20:28:11"], ["other", "chat-43"]),
        (["--until", "2026-05-28T20:28:00"], ["chat-42"]),
        (["--since", "1h"], []),
    ],
)
def test_what_is_listed_can_be_chosen(clew, filled, options, found):
    assert [it["id"] for it in json.loads(clew("sessions", "--json", *options).stdout)] == found


def test_sessions_are_found_by_metadata(clew, write):
    for number, metadata in enumerate(['{"release": "1.2", "beta": true}', '{"release": "1.2"}']):
        spans = turn(f"s{number}", number=number, start=START + number * SECOND)
        spans[-1].attributes["metadata"] = metadata
        write(spans)

    def found(*options):
        return [it["id"] for it in json.loads(clew("sessions", "--json", *options).stdout)]

    assert found("--metadata", "release=1.2") == ["s1", "s0"]
    assert found("--metadata", "release=1.2", "--metadata", "beta=true") == ["s0"]
    assert found("--metadata", "release=") == []
    wrong = clew("sessions", "--metadata", "release", status=2)
    assert "'release' is no name and value; write release=1.2" in wrong.stderr


def test_a_conversation_is_shown_as_text(clew, filled):
    shown = clew("sessions", "chat-42").stdout
    for part in (
        "Session chat-42 · user ada\n2026-05-28 20:26:40 to 20:27:41 · 1m01s\n",
        "2 turns · 2 model calls · 240 tokens · $0.0042 · 0 errors\ngpt-4o-mini, openai\n",
        "\nTurn 1 · 20:26:40 · 1.3 s · 120 tokens · $0.0021 · gpt-4o-mini\n",
        "  user       Where is my order A-17?\n",
        '  tool       get_order(number="A-17") → {"status": "sent"}  200 ms\n',
        "  retrieval  search 'Where is my order A-17?' → 2 documents  100 ms\n",
        "  assistant  It was sent yesterday.\n",
        "\nTurn 2 · 20:27:40 · ",
        "  assistant  Tomorrow.\n",
    ):
        assert part in shown
    assert "You help" not in shown
    assert "Parcels take" not in shown


def test_the_page_of_the_docs_shows_what_it_prints(clew, write):
    later = turn(
        asked="And when does it arrive?",
        answered="Tomorrow.",
        tool=False,
        number=2,
        start=START + 60 * SECOND,
    )
    write(turn(), later)
    page = (Path(__file__).parents[3] / "docs" / "sessions.md").read_text()
    assert f"```text\n{clew('sessions', 'chat-42').stdout}```\n" in page


def test_in_full_it_has_arguments_results_and_documents(clew, filled):
    shown = clew("sessions", "chat-42", "--full").stdout
    assert shown.count("You help the customers") == 1
    for part in ("Parcels take two days.", "document 2 d1:", '"number": "A-17"', "result:"):
        assert part in shown


def test_where_something_failed_the_error_is_shown(clew, filled):
    shown = clew("sessions", "chat-43").stdout
    conversation, _, broke = shown.partition("\nBreaks in turn 1 · ")
    assert conversation.count("429 Too Many") == 1
    assert '  told by    "429 Too Many" (error, ' in broke
    assert re.search(r"  caused by  model ask \(span \w{16}\)$", broke, re.MULTILINE)
    assert shown.index("user       Hello?") < shown.index("429 Too Many")
    assert "2 errors" in shown


def test_several_users_of_one_session_are_told(clew, write):
    write(turn(), turn(user="bob", number=2, start=START + SECOND))
    assert clew("sessions", "chat").stdout.startswith("Session chat-42 · user bob and 1 other\n")


def test_a_session_without_words_says_so(clew, write):
    (embedding,) = turn()[:1]
    write([replace(embedding, attributes={**embedding.attributes, **EMBEDDING}, parent_id=None)])
    assert "Nothing was said: 1 span." in clew("sessions", "chat-42").stdout


def test_json_has_all_of_it(clew, filled):
    session = json.loads(clew("sessions", "chat-42", "--json").stdout)
    assert (session["id"], session["user_id"], session["turns"]) == ("chat-42", "ada", 2)
    first, second = session["conversation"]
    assert first["input"]["text"] == "Where is my order A-17?"
    assert {it["kind"] for it in first["calls"]} == {"tool", "retrieval", "model"}
    assert [it["text"] for call in first["calls"] for it in call["documents"]] == [
        "Parcels take two days.",
        "Bicycles take five.",
    ]
    assert second["tokens"]["total"] == 120
    assert len(first["trace_id"]) == 32


def test_the_beginning_of_an_id_is_enough(clew, filled):
    assert "Session other · user bob" in clew("sessions", "o").stdout
    done = clew("sessions", "chat", status=1)
    assert "several sessions begin with 'chat':\n  chat-42\n  chat-43\n" in done.stderr


def test_one_that_is_not_there_suggests_others(clew, filled):
    assert "did you mean chat-4" in clew("sessions", "chat42", status=1).stderr
    assert "it is a user, with 2 sessions: --user ada" in clew("sessions", "ada", status=1).stderr
    assert "list them with: clew sessions" in clew("sessions", "zzzzzz", status=1).stderr


def test_wrong_usage_exits_with_2(clew, filled):
    assert (
        "'yesterday' is no time; write 30m"
        in clew("sessions", "--since", "yesterday", status=2).stderr
    )
    assert "--full shows one session" in clew("sessions", "--full", status=2).stderr
    clew("sessions", "--order-by", "colour", status=2)
    clew("sessions", "--limit", "0", status=2)
    for command in ("sessions", "tail", "export"):
        assert "names no store: write" in clew(command, "--store", "foo://x", status=2).stderr
    assert "after='nobody'" in clew("sessions", "--after", "nobody", status=1).stderr


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (["sessions", "chat-42", "--user", "bob"], "--user"),
        (["sessions", "chat-42", "--since", "1h"], "--since"),
        (["sessions", "chat-42", "--no-errors"], "--errors"),
        (["sessions", "chat-42", "--limit", "25"], "--limit"),
        (["sessions", "chat-42", "--after", "other"], "--after"),
        (["sessions", "chat-42", "--worst", "turns"], "--worst"),
        (["sessions", "--worst", "turns", "--order-by", "cost"], "--order-by"),
        (["sessions", "--worst", "turns", "--after", "other"], "--after"),
        (["sessions", "--config", __file__], "--config"),
        (["users", "--limit", "1"], "--limit"),
        (["users", "--config", __file__], "--config"),
    ],
)
def test_an_option_that_would_do_nothing_is_wrong_usage(clew, filled, command, refused):
    assert f"Error: {refused} " in clew(*command, status=2).stderr


def test_without_a_store_it_says_how_one_comes_about(clew, path):
    assert f"there is no store at {path}; it is made when" in clew("sessions", status=1).stderr
    assert not path.exists()
    assert "CLEW_STORE=off" in clew("sessions", status=1, CLEW_STORE="off").stderr
    assert "there is no store at" in clew("users", "--store", "no.db", status=1).stderr


def test_an_empty_name_of_a_store_is_none(clew, filled):
    assert clew("sessions", "--store", "").stdout == clew("sessions").stdout


def test_a_file_that_is_no_store_is_named(clew, path):
    path.parent.mkdir()
    path.write_text("This is no database at all. " * 99)
    assert f"{path} is damaged, or is no store" in clew("sessions", status=1).stderr


def test_in_an_empty_store_there_is_nothing(clew, write):
    write()
    assert clew("sessions", "--json").stdout == "[]\n"
    done = clew("sessions")
    assert (done.stdout, done.stderr.startswith("There is no session in ")) == ("", True)
    assert "no user" in clew("users").stderr


def test_users_are_listed(clew, filled):
    done = clew("users")
    assert [row[:3] for row in rows(done)] == [
        ["USER", "SESSIONS", "TURNS"],
        ["bob", "1", "1"],
        ["ada", "2", "3"],
    ]
    users = json.loads(clew("users", "--json").stdout)
    assert [(it["user_id"], it["total_tokens"]) for it in users] == [("bob", 120), ("ada", 360)]


def test_users_have_the_mean_friction_of_their_sessions(clew, write, path):
    write(*conversation(tool=False), *conversation("calm", "ada", CALM, at=9000))
    with SessionStore(path) as store:
        (expected,) = figures(store, "friction", by="user").groups
    (user,) = json.loads(clew("users", "--json").stdout)
    assert (user["friction"], user["friction_sessions"]) == (expected.value, 2)
    assert rows(clew("users"))[1][3] == f"{expected.value:.2f}"


def test_the_list_and_the_conversation_say_which_turn_is_bad(clew, write, path):
    write(*conversation(tool=False), *conversation("calm", "bob", CALM, at=9000))
    with SessionStore(path) as store:
        evaluations.add(store, Evaluation("outcome", label="no", session_id="broken"))
        session = store.get("broken")
        annoyed = session.turns[2].friction
    listed = {row[0]: row for row in rows(clew("sessions"))[1:]}
    assert listed["broken"][5:7] == [f"{session.friction:.2f}", "#3"]
    assert not listed["calm"][6].startswith("#")
    shown = clew("sessions", "broken").stdout
    headings = [line for line in shown.splitlines() if line.startswith("Turn ")]
    assert [("friction" in it) for it in headings] == [False, False, True, True]
    assert f" · friction {annoyed:.2f} · first bad turn" in headings[2]
    assert " errors · outcome no\n" in shown
    assert "bad turn" not in clew("sessions", "calm").stdout.replace("No bad turn", "")


def test_what_was_said_cannot_command_the_terminal(clew, write):
    write(turn("a\x1b[2Jb", "x\ny", "\x1b]0;title\x07 hi\u202e", "\x9b31m red\r over"))
    for command in (["sessions"], ["sessions", "a"], ["sessions", "a", "--full"], ["users"]):
        shown = clew(*command).stdout
        assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(shown)
    assert "\\x1b]0;title\\x07 hi\\u202e" in clew("sessions", "a").stdout


def test_a_terminal_without_unicode_is_no_obstacle(clew, filled):
    for command in (["sessions"], ["sessions", "other"], ["sessions", "chat-42", "--full"]):
        shown = clew(*command, PYTHONIOENCODING="ascii").stdout
        assert shown.isascii()
    assert (
        "Session chat-42 - user ada" in clew("sessions", "chat-42", PYTHONIOENCODING="ascii").stdout
    )


@pytest.mark.parametrize("columns", [50, 120])
def test_no_table_and_no_message_is_wider_than_the_terminal(clew, write, columns):
    long = "Ich möchte wissen, wann mein Fahrrad kommt. 我的自行车什么时候到?👋 " * 9
    write(turn(asked=long, answered=long * 2), turn("a-session-with-a-long-id" * 2, "u" * 30, long))
    for command in (["sessions"], ["sessions", "chat", "--full"]):
        lines = clew(*command, COLUMNS=str(columns)).stdout.splitlines()
        tabular = lines if command == ["sessions"] else [it for it in lines if it.startswith("  ")]
        assert 30 < max(map(columns_of, tabular)) <= columns


def on_a_terminal(environment, *arguments):
    """Return what the command prints where its output is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clew", *arguments], env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # The command has ended.
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(30) == 0
    return shown.decode()


def test_colours_are_for_terminals_and_can_be_refused(environment, filled):
    environment = {**environment, "COLUMNS": "100", "TERM": "xterm"}
    assert "\x1b[31m" in on_a_terminal(environment, "sessions")
    assert "\x1b[" not in on_a_terminal({**environment, "NO_COLOR": "1"}, "sessions")


def test_a_reader_that_has_seen_enough_ends_it(environment, filled):
    command = [sys.executable, "-m", "clew", "sessions", "chat-42", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_session_without_a_turn_is_said_to_have_spans(clew, write):
    (first, *_) = turn("plain")
    write([replace(first, attributes={"session.id": "plain"})])
    said = clew("sessions", "plain", status=1).stderr
    assert "session 'plain' in " in said
    assert "has 1 span, but no turn" in said
    assert "clew export --session" in said


def test_one_long_id_makes_no_other_row_long(clew, write):
    """Where the list goes into a pipe; there it is whole."""
    write(turn("x" * 5000), turn("short", number=2))
    lines = clew("sessions").stdout.splitlines()
    assert sorted(len(line) > 5000 for line in lines) == [False, False, True]
    assert max(len(line) for line in lines if "x" * 50 not in line) < 400
