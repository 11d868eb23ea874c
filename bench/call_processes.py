"""Starts the processes that ``call.py`` compares, their provider and collector, on loopback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import IO, Any, cast
from urllib.request import urlopen

from clew import sessions

_PROGRAMS = Path(__file__).parent / "programs"
_NEEDS = {
    "phoenix": "phoenix.otel",
    "traceloop": "traceloop.sdk",
    "langfuse": "langfuse",
    "logfire": "logfire",
}
PEERS = {"traceloop": "traceloop-sdk", "langfuse": "langfuse", "logfire": "logfire"}
"""The packages of the products that may have an interpreter of their own."""
_VARIABLES = (
    "PYTHON",
    "OTEL_",
    "CLEW_",
    "PHOENIX_",
    "OPENAI_",
    "OPENINFERENCE_",
    "LANGFUSE_",
    "LOGFIRE_",
)
"""Removed, so that no machine's own settings matter. PYTHONPATH stays, to measure another copy."""


class Program:
    """One running program of ``programs/``, which exchanges lines of JSON with this process."""

    def __init__(self, python: str, program: str, *arguments: str, **variables: str) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "PYTHONPATH" or not name.startswith(_VARIABLES)
        }
        self._name = " ".join((program, *arguments[:1]))
        self._process = subprocess.Popen(
            [python, "-P", str(_PROGRAMS / program), *arguments],
            env={**kept, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)

    def send(self, message: object) -> None:
        self._input.write(json.dumps(message) + "\n")
        self._input.flush()

    def receive(self) -> Any:
        """Return its next line."""
        line = self._output.readline()
        if not line:
            message = f"{self._name} has ended"
            raise RuntimeError(message)
        return json.loads(line)

    def close(self) -> None:
        self._input.close()
        self._process.wait()


class Row:
    """One application, which calls OpenAI when it gets a turn."""

    def __init__(self, name: str, addresses: Mapping[str, str], store: Path | None = None) -> None:
        self.name = name
        self._store = store if name == "clew_store" else None
        self.dead = name.endswith("_dead")
        self.lost = 0
        """The number of spans that clew could not deliver."""
        collector = addresses["dead" if self.dead else "sink"]
        where = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        if self._store is not None:
            where = {"CLEW_STORE": str(self._store)}
        self._program = Program(
            _python(name),
            "call_row.py",
            name,
            addresses["fast"],
            addresses["slow"],
            collector,
            **where,
        )
        version, expected = self._program.receive(), metadata.version("openai")
        if version != expected:
            message = f"{name} calls openai {version}, the other rows {expected}: no comparison"
            raise RuntimeError(message)

    def turn(self, way: str, calls: int) -> tuple[float, float]:
        """Make *calls* calls; return the median seconds of one, and its CPU seconds."""
        # A dead collector's flush would take as long as its exporter does.
        self._program.send([way, calls, not self.dead])
        result = self._program.receive()
        self.lost = result["lost"]
        return median(result["times"]), result["cpu"]

    def stored(self) -> list[dict[str, str]]:
        """Return the attributes of the spans that are in the store of the row."""
        if self._store is None:
            return []
        with sessions.open(self._store) as store:
            names = [row["session_id"] for row in store.sql("SELECT session_id FROM sessions")]
            return [dict(span.attributes) for name in names for span in store.spans(name)]

    def close(self) -> None:
        self._program.close()


@contextmanager
def serving(program: str, *arguments: str) -> Iterator[str]:
    """Run a server; yield its address."""
    server = Program(sys.executable, program, *arguments)
    try:
        yield server.receive()
    finally:
        server.close()


@contextmanager
def dead_collector() -> Iterator[str]:
    """Yield the address of a dead collector: a port that is bound, on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def ask(sink: str, what: str) -> list[dict[str, str]]:
    """Return what the collector at *sink* answers, the attributes of its spans."""
    with urlopen(f"{sink}/{what}") as answer:  # The address is that of call_sink.py
        spans: list[dict[str, str]] = json.load(answer)
    return spans


def need(name: str) -> str:
    """Return the module that a row needs."""
    return _NEEDS.get(name.partition("_")[0], "openai")


def can_run(name: str) -> bool:
    """Return whether the interpreter of a row has the module that the row needs."""
    find = f"import importlib.util; importlib.util.find_spec({need(name)!r}).name"
    found = subprocess.run([_python(name), "-c", find], capture_output=True, check=False)
    return found.returncode == 0


def versions_of_peers() -> dict[str, str]:
    """Return the versions of the products that have an interpreter of their own."""
    ask_for = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    versions = {}
    for name, package in PEERS.items():
        command = [_python(name), "-c", ask_for, package]
        found = subprocess.run(command, capture_output=True, check=False, text=True)
        versions[package] = found.stdout.strip() or "absent"
    return versions


def _python(name: str) -> str:
    """Return the interpreter of a row; a variable like BENCH_PYTHON_LANGFUSE can name another."""
    return os.environ.get(f"BENCH_PYTHON_{name.partition('_')[0].upper()}", sys.executable)
