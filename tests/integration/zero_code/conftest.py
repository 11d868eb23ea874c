"""Runs programs that do not use clew under ``opentelemetry-instrument``."""

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.integration.activation.conftest import install  # noqa: F401 - a fixture
from tests.integration.propagation.collector import collecting
from tests.integration.zero_code.results import RESULTS
from tests.support.commands import run_command

COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
_OTHERS = [
    point.name
    for point in entry_points(group="opentelemetry_instrumentor")
    if "openinference" not in point.value and point.name != "threading"
]
DISABLED = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(_OTHERS)}
"""Else every start would import the instrumentations of the project's dependency groups."""


@dataclass
class Done:
    """What a program wrote to standard output and standard error."""

    out: str
    err: str

    @property
    def complaints(self):
        """The lines on standard error that are not spans."""
        return [it for it in self.err.splitlines() if it and not it.startswith("{")]


@pytest.fixture
def collector():
    with collecting() as server:
        yield server


@pytest.fixture
def instrumented(tmp_path):
    """Run code as ``opentelemetry-instrument python`` does."""

    def run(*parts, path_before="", zero=True, **environment):
        program = tmp_path / "app.py"
        program.write_text("".join(map(textwrap.dedent, parts)))
        folders = [path_before, str(tmp_path), os.environ.get("PYTHONPATH", "")]
        path = os.pathsep.join(filter(None, folders))
        done = run_command(
            [*([COMMAND] if zero else []), sys.executable, str(program)],
            env={**os.environ, **DISABLED, "PYTHONPATH": path, **environment},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.stdout, done.stderr)

    return run


@pytest.fixture
def which():
    """Return the path of a command, or skip where it is not installed."""

    def find(name):
        beside = Path(sys.executable).with_name(name)
        found = str(beside) if beside.exists() else shutil.which(name)
        return found or pytest.skip(f"{name} is not installed")

    return find


def pytest_terminal_summary(terminalreporter, config):
    if not RESULTS.rows:
        return
    terminalreporter.section("servers")
    terminalreporter.write_line(RESULTS.summary())
    if file := config.getoption("--servers-table"):
        RESULTS.write(Path(file))
