"""A store of a few conversations, and the command as a person runs it."""

import os
import subprocess
import sys

import pytest

from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn


@pytest.fixture
def path(tmp_path):
    """Where the store is: it is not made yet."""
    return tmp_path / "kept" / "sessions.db"


@pytest.fixture
def write(path):
    """Write spans to the store."""

    def write(*groups):
        connection = connect(path, create=True)
        try:
            writer = Writer(connection)
            return sum(writer.add(spans) for spans in groups)
        finally:
            connection.close()

    return write


@pytest.fixture
def filled(write):
    """Three sessions of two users."""
    later = "And when does it arrive?"
    write(
        turn(found=("Parcels take two days.", "Bicycles take five.")),
        turn(asked=later, answered="Tomorrow.", number=2, start=START + 60 * SECOND, tool=False),
        turn("chat-43", "ada", "Hello?", "", start=START + 90 * SECOND, error="429 Too Many"),
        turn("other", "bob", "Grüße, 世界 👋", "Hallo!", start=START + 99 * SECOND, cost=None),
    )


@pytest.fixture
def environment(path):
    """The environment of the command."""
    # Where tests run side by side, they are told a width.
    inherited = {name: it for name, it in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return {**inherited, "CLEW_STORE": str(path), "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def clew(environment, tmp_path):
    """Run ``clew`` with these arguments, and return what came of it."""

    def run(*arguments, given="", status=0, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "clew", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            encoding=variables.get("PYTHONIOENCODING", "utf-8"),
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run
