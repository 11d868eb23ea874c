"""``clew tail``: turns of other processes are printed when they are complete."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.support.conversation_spans import SECOND, START, turn


@pytest.fixture
def tail(environment):
    """Run ``clew tail`` while a block runs; it has begun to follow the store."""

    @contextmanager
    def run(*arguments, begins="Following "):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [sys.executable, "-m", "clew", "tail", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr.readline().startswith(begins)
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            signal.signal(signal.SIGINT, before)
            process.kill()
            process.communicate()

    return run


def read_json(process):
    return json.loads(process.stdout.readline())


def test_a_turn_is_printed_when_its_root_has_ended(tail, filled, write):
    *inner, root = turn("new", "eve", "Are you there?", "Yes.")
    last = turn("new", "eve", "Good.", "Bye.", number=2, start=START + SECOND)
    with tail("--json") as process:
        write(inner)
        write(last)
        assert read_json(process)["input"]["text"] == "Good."
        write([root])
        shown = read_json(process)
    assert (shown["session_id"], shown["user_id"]) == ("new", "eve")
    assert (shown["input"]["text"], shown["output"]["text"]) == ("Are you there?", "Yes.")
    assert [call["kind"] for call in shown["calls"]] == ["tool", "model"]


def test_it_is_printed_once_as_text(tail, filled, write):
    late = turn("new", "eve", "Are you there?", "Yes.")
    with tail("--last", "1", "--user", "eve") as process:
        write(late[1:])
        lines = read_lines(process, 3)
        write(late[:1], turn("other"), turn("new", "eve", "Good.", "Bye.", number=2))
        lines += read_lines(process, 5)
    assert lines[0].startswith("new · eve · 20:26:40 · 1.3 s · 120 tokens")
    assert lines[1].split() == ["user", "Are", "you", "there?"]
    assert lines[2:4] == ["  assistant  Yes.", ""]
    assert [it.split()[0] for it in lines[4:]] == ["new", "user", "tool", "assistant"]


def read_lines(process, number):
    return [process.stdout.readline().rstrip() for _ in range(number)]


def test_the_last_ones_come_first_and_can_be_chosen(tail, filled, write):
    with tail("--last", "2", "--session", "chat-42", "--json") as process:
        said = [read_json(process)["input"]["text"] for _ in range(2)]
        write(turn("other", number=3), turn("chat-42", asked="More?", number=3))
        assert read_json(process)["input"]["text"] == "More?"
    assert said == ["Where is my order A-17?", "And when does it arrive?"]


def test_a_trace_whose_root_is_elsewhere_is_printed_when_it_is_quiet(tail, filled, write):
    *inner, _ = turn("far", "eve", "Hello?", "Hi.")
    with tail("--json") as process:
        write([_of_remote(span) for span in inner])
        assert read_json(process)["session_id"] == "far"


def _of_remote(span):
    from dataclasses import replace

    return replace(span, flags=0x301)


def test_it_waits_for_a_store_that_is_not_there(tail, write, path):
    with tail("--json", begins="Waiting for ") as process:
        write(turn())
        assert read_json(process)["session_id"] == "chat-42"
        for file in path.parent.glob("sessions.db*"):
            file.unlink()
        write(turn("again"))
        assert read_json(process)["session_id"] == "again"
