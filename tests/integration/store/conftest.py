"""Starts the applications of these tests, and tells them what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"


class Application:
    """A running process that makes spans when it is told to."""

    def __init__(self, store, **environment):
        self.process = subprocess.Popen(
            [sys.executable, PROGRAMS / "told.py"],
            env={**os.environ, "CLEW_STORE": str(store), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tell(self, *command):
        """Tell it one thing, and return its answer."""
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        if not (line := self.process.stdout.readline()):
            pytest.fail(f"it ended: {self.process.communicate()}")
        return json.loads(line)

    def end(self):
        """Let it end; return its exit code and clew's lines, but for the one at the start."""
        _, err = self.process.communicate(timeout=60)
        lines = [line for line in err.splitlines() if line]
        assert all(line.startswith("clew") for line in lines), err
        assert "look at the conversations with: clew view, or clew sessions" in lines[0]
        return self.process.returncode, lines[1:]


@pytest.fixture
def start():
    running = []

    def start(store, **environment):
        running.append(Application(store, **environment))
        return running[-1]

    yield start
    for application in running:
        application.process.kill()
        application.process.communicate()
