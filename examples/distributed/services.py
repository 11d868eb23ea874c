"""Starts the two services that app.py calls, unless they run already, and ends them at exit."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 10
"""Seconds for a service to finish its work, and to send its last spans."""


@contextmanager
def running() -> Iterator[str]:
    """Run both services; yield the URL of the one in front."""
    node = _node()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Leaves the blocks below.
    with (
        _service("answers", sys.executable, "answers.py") as answers,
        _service("desk", node, "service.cjs", ANSWERS_URL=answers) as desk,
    ):
        yield desk


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        sys.exit("The service in the middle needs Node 20 or newer: https://nodejs.org")
    if not (HERE / "node_modules").is_dir():
        sys.exit(f"The service in the middle needs its packages: npm ci --prefix {HERE}")
    return node


@contextmanager
def _service(name: str, command: str, file: str, **settings: str) -> Iterator[str]:
    """Run one service; yield its URL, which it prints when it listens."""
    told = {"CLEW_TRUST_INBOUND": "1", **os.environ, "OTEL_SERVICE_NAME": name, "PORT": "0"}
    process = subprocess.Popen(  # noqa: S603 - a file beside this one
        [command, str(HERE / file)], env=told | settings, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            if not said.startswith("listening on "):
                sys.exit(f"{file} ended before it listened")
            yield said.split()[-1]
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
