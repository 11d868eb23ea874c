"""Programs under ``opentelemetry-instrument``, without a line of clew's in them."""

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.activation.conftest import install  # noqa: F401 - a fixture
from tests.propagation.collector import collecting
from tests.zero_code.ledger import LEDGER

COMMAND = str(Path(sys.executable).with_name("opentelemetry-instrument"))
_OTHERS = [
    point.name
    for point in entry_points(group="opentelemetry_instrumentor")
    if "openinference" not in point.value and point.name != "threading"
]
DISABLED = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(_OTHERS)}
"""What the groups of the project bring along would be imported at each start, as ever."""


@dataclass
class Done:
    """What a program has written, to each side."""

    out: str
    err: str

    @property
    def complaints(self):
        """The lines on standard error, but for spans."""
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
        done = subprocess.run(
            [*([COMMAND] if zero else []), sys.executable, str(program)],
            env={
                **os.environ,
                **DISABLED,
                "PYTHONPATH": path,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
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
    if not LEDGER.rows:
        return
    terminalreporter.section("servers")
    terminalreporter.write_line(LEDGER.summary())
    if file := config.getoption("--servers-table"):
        LEDGER.write(Path(file))
