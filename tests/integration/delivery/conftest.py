"""Runs the application of these tests, and returns how it ended."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "application.py"


@dataclass
class End:
    """How a program ended."""

    status: int
    seconds: float
    """From the end of its work to the end of the process."""
    reported: list[dict]
    """The JSON objects that it wrote to standard output."""
    log_lines: list[str]
    """The lines on its standard error that are not spans."""

    def values(self, key):
        return [line[key] for line in self.reported if key in line]

    @property
    def counted(self):
        """How many spans were exported and lost, in all processes."""
        assert self.values("waiting") == [0] * len(self.values("waiting"))
        return sum(self.values("exported")), sum(sum(it.values()) for it in self.values("dropped"))


@pytest.fixture
def application():
    def run(way, endpoint=None, *, stderr=subprocess.PIPE, **environment):
        to = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
        program = subprocess.Popen(
            [sys.executable, str(PROGRAM), way],
            env={**os.environ, **to, **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            out, err = program.communicate(timeout=60)
        finally:
            ended = time.monotonic()
            program.kill()
        reported = [json.loads(line) for line in out.splitlines()]
        done = [line["done"] for line in reported if "done" in line]
        log_lines = [it for it in (err or "").splitlines() if not it.startswith("{")]
        return End(program.returncode, ended - max(done, default=ended), reported, log_lines)

    return run
