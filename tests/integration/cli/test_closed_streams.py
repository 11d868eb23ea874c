"""What a command says where standard output or standard input is closed."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell that closes streams")


@pytest.fixture
def closed(filled, environment):
    """Run ``clew`` with a standard stream closed, and return its status and what it said."""

    def run(stream, *arguments):
        script = f'exec "$0" -m clew "$@" {stream}'
        done = subprocess.run(
            ["/bin/sh", "-c", script, sys.executable, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sessions"],
        ["sessions", "chat-42"],
        ["sessions", "--json"],
        ["users"],
        ["metrics"],
        ["tail", "--last", "1"],
        ["doctor"],
        ["export", "--to", "jsonl", "-"],
    ],
    ids=" ".join,
)
def test_closed_output(arguments, closed):
    status, said = closed(">&-", *arguments)
    assert status == 1
    assert said.endswith("Error: standard output is closed\n")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments", [["import", "-"], ["forget", "--session", "chat-42"]], ids=" ".join
)
def test_closed_input(arguments, closed):
    status, said = closed("<&-", *arguments)
    assert status == 1
    assert said.endswith("Error: standard input is closed\n")
    assert "Traceback" not in said


def test_what_prints_nothing_needs_no_output(closed):
    status, said = closed(">&-", "run", sys.executable, "-c", "")
    assert status == 0
    assert "closed" not in said


def test_closed_error(closed):
    assert closed("2>&-", "sessions", "no such session") == (1, "")
