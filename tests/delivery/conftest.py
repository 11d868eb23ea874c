"""Runs the application of these tests, and says how it ended."""

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
    said: list[dict]
    complaints: list[str]
    """The lines on its standard error, but for spans."""

    def told(self, key):
        return [line[key] for line in self.said if key in line]

    @property
    def counted(self):
        """What was exported and what was lost, over all processes."""
        assert self.told("waiting") == [0] * len(self.told("waiting"))
        return sum(self.told("exported")), sum(sum(it.values()) for it in self.told("dropped"))


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
        said = [json.loads(line) for line in out.splitlines()]
        done = [line["done"] for line in said if "done" in line]
        complaints = [it for it in (err or "").splitlines() if not it.startswith("{")]
        return End(program.returncode, ended - max(done, default=ended), said, complaints)

    return run
