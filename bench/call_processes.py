"""The processes that ``call.py`` compares, and those that they talk to, all on loopback."""

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

_PROGRAMS = Path(__file__).parent / "programs"
_NEEDS = {"phoenix": "phoenix.otel", "traceloop": "traceloop.sdk", "langfuse": "langfuse"}
_VARIABLES = ("PYTHON", "OTEL_", "CLEW_", "PHOENIX_", "OPENAI_", "OPENINFERENCE_", "LANGFUSE_")
"""What must not differ from one machine to the next; PYTHONPATH stays, to measure another copy."""


class Program:
    """One program of ``programs/``, which reads and answers line by line."""

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

    def tell(self, what: object) -> None:
        self._input.write(json.dumps(what) + "\n")
        self._input.flush()

    def hear(self) -> Any:
        """Return what it says next."""
        line = self._output.readline()
        if not line:
            message = f"{self._name} has ended"
            raise RuntimeError(message)
        return json.loads(line)

    def close(self) -> None:
        self._input.close()
        self._process.wait()


class Row:
    """One application, which calls when it is its turn."""

    def __init__(self, name: str, addresses: Mapping[str, str]) -> None:
        self.name = name
        self.dead = name.endswith("_dead")
        self.lost = 0
        """The spans that clew has made for nobody."""
        collector = addresses["dead" if self.dead else "sink"]
        self._program = Program(
            _python(name),
            "call_row.py",
            name,
            addresses["fast"],
            addresses["slow"],
            collector,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector,
        )
        theirs, ours = self._program.hear(), metadata.version("openai")
        if theirs != ours:
            message = f"{name} calls openai {theirs}, the other rows {ours}: no comparison"
            raise RuntimeError(message)

    def turn(self, way: str, calls: int) -> tuple[float, float]:
        """Return the seconds that a call took, in the median, and those of CPU."""
        # A dead collector's flush would take as long as its exporter does.
        self._program.tell([way, calls, not self.dead])
        said = self._program.hear()
        self.lost = said["lost"]
        return median(said["times"]), said["cpu"]

    def close(self) -> None:
        self._program.close()


@contextmanager
def serving(program: str, *arguments: str) -> Iterator[str]:
    """Run a server; yield its address."""
    server = Program(sys.executable, program, *arguments)
    try:
        yield server.hear()
    finally:
        server.close()


@contextmanager
def nobody() -> Iterator[str]:
    """Yield the address of a collector that is dead: the port is held, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def need(name: str) -> str:
    """Return the module that a row needs."""
    return _NEEDS.get(name.partition("_")[0], "openai")


def can_run(name: str) -> bool:
    """Whether what a row needs is installed where it runs."""
    find = f"import importlib.util as it; it.find_spec({need(name)!r}).name"
    seen = subprocess.run([_python(name), "-c", find], capture_output=True, check=False)
    return seen.returncode == 0


def _python(name: str) -> str:
    """Return the interpreter of a row: a peer's can be named, as in BENCH_PYTHON_LANGFUSE."""
    return os.environ.get(f"BENCH_PYTHON_{name.partition('_')[0].upper()}", sys.executable)
