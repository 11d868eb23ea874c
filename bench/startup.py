"""Benchmark of start-up: what tracing costs a whole process, in CPU seconds and in memory.

The application imports one framework of six that are installed. Each row is a program in
``programs/``, run from start to exit by the same interpreter. No span is made, so nothing is sent,
and no exit waits for a network. The rows of zero code run an empty application under
``opentelemetry-instrument``, with the instrumentations that are installed.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from operator import sub, truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.pairing import Verdict, paired, table, turns

ROUNDS = 25
CPU_LIMIT = 1.10
MEMORY_LIMIT = 5.0
ZERO_CODE_LIMIT = 1.25

_PROGRAMS = Path(__file__).parent / "programs"
_TITLES = {
    "openai_plain": "plain: openai, not traced",
    "openai_floor": "floor: SDK, OTLP/HTTP, one hook",
    "openai_clew": "clew: instrument_all()",
    "openai_phoenix": "phoenix: register(auto_instrument=True)",
    "nothing": "python, nothing else",
    "import_clew": "import clew, nothing else",
    "zero_disabled": "zero code, clew, every instrumentation disabled",
    "zero_clew": "zero code, clew",
    "zero_stock_disabled": "zero code, stock distro, every one disabled",
    "zero_stock": "zero code, stock distro and the six",
}
_ZERO = "zero_"
_ALL_DISABLED = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}
_CLEW = {"OTEL_PYTHON_DISTRO": "clew"}
_STOCK = {
    "OTEL_PYTHON_DISTRO": "distro",
    "OTEL_PYTHON_CONFIGURATOR": "configurator",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
_VARIABLES = {
    "zero_disabled": {**_CLEW, **_ALL_DISABLED},
    "zero_clew": _CLEW,
    "zero_stock_disabled": {**_STOCK, **_ALL_DISABLED},
    "zero_stock": _STOCK,
}
_PROGRAM_OF = {"zero_stock_disabled": "zero_disabled"}
"""The program of a row that shares another row's."""
_SETTINGS = ("PYTHON", "OTEL_", "CLEW_", "PHOENIX_", "OPENAI_", "OPENINFERENCE_")
"""Removed, so that no machine's own settings matter. PYTHONPATH stays, to measure another copy."""


class Cost(NamedTuple):
    """What one process used."""

    cpu: float
    """Seconds, user and system."""
    memory: float
    """The peak, in megabytes (2**20)."""


def run(program: str, environment: Mapping[str, str]) -> Cost:
    """Run one program to its end."""
    path = str(_PROGRAMS / f"{_PROGRAM_OF.get(program, program)}.py")
    # -P: the programs' folder is not on the path, so none of them can shadow a package.
    command = [sys.executable, "-P", path]
    if program.startswith(_ZERO):
        command.insert(0, str(Path(sys.executable).with_name("opentelemetry-instrument")))
        environment = {**environment, **_VARIABLES[program]}
        if _VARIABLES[program]["OTEL_PYTHON_DISTRO"] == "distro":
            environment["PYTHONPATH"] = environment["HIDES_CLEW"]
    # OpenTelemetry logs each time which of two configurators it has not loaded.
    silent = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    quiet = silent if program.startswith(_ZERO) else []
    pid = os.posix_spawn(command[0], command, environment, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    if status:
        message = f"{program}.py ended with status {os.waitstatus_to_exitcode(status)}"
        raise RuntimeError(message)
    return Cost(usage.ru_utime + usage.ru_stime, _megabytes(usage.ru_maxrss))


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Run every program once per round; return all results as plain data."""
    absent = set() if _installed("arize-phoenix-otel") else {"openai_phoenix"}
    if not _installed("opentelemetry-distro"):
        absent |= {name for name in _TITLES if "stock" in name}
    programs = [name for name in _TITLES if name not in absent]
    costs: dict[str, list[Cost]] = {program: [] for program in programs}
    with TemporaryDirectory() as bytecode:
        environment = _environment(bytecode)
        states = _states(environment)
        for program in programs:
            run(program, environment)  # Compiles what it imports, and warms the disk cache.
        for order in turns(programs, rounds):
            for program in order:
                costs[program].append(run(program, environment))
    rows = {program: _compared(program, costs) for program in programs}
    clew = rows["openai_clew"]
    verdicts = (
        Verdict("clew's CPU is at most 1.10 times the floor's", clew["cpu_to_floor"], CPU_LIMIT),
        Verdict("clew takes at most 5 MB more than the floor", clew["mb_to_floor"], MEMORY_LIMIT),
        Verdict(
            "zero code costs at most 1.25 times the CPU of the same with nothing to instrument",
            rows["zero_clew"]["cpu_to_base"],
            ZERO_CODE_LIMIT,
        ),
    )
    return {"rounds": rounds, "states": states, "rows": rows, "verdicts": verdicts}


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    lines = [["start-up", "CPU s", "ratio to floor", "ratio to plain", "MB", "MB to floor"]]
    for program, row in found["rows"].items():
        of_application = "cpu_to_floor" in row
        base = "disabled" if program.startswith(_ZERO) else "python"
        against_base = f"{row['cpu_to_base'].text()} to {base}" if not of_application else "-"
        lines.append(
            [
                _TITLES[program],
                f"{row['cpu']:.3f}",
                row["cpu_to_floor"].text() if of_application else "-",
                row["cpu_to_plain"].text() if of_application else against_base,
                "-" if row["mb"] is None else f"{row['mb']:.1f}",
                row["mb_to_floor"].text(1) if of_application else "-",
            ]
        )
    absent = [name for name, state in found["states"].items() if state != "waiting"]
    note = f"\nNot installed, so there was less to do: {', '.join(absent)}.\n" if absent else ""
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table(lines)}\n{note}\n{verdicts}"


def _compared(program: str, costs: Mapping[str, list[Cost]]) -> dict[str, Any]:
    def cpu(name: str) -> list[list[float]]:
        return [[cost.cpu for cost in costs[name]]]

    def memory(name: str) -> list[list[float]]:
        return [[cost.memory for cost in costs[name]]]

    row: dict[str, Any] = {"cpu": median(*cpu(program))}
    if not program.startswith("openai_"):
        # A child counts as at least as large as the process that started it, which is this one.
        row["mb"] = None
        base = "nothing"
        if program.startswith(_ZERO):
            base = "zero_stock_disabled" if "stock" in program else "zero_disabled"
        row["cpu_to_base"] = paired(truediv, cpu(program), cpu(base))
        return row
    row["mb"] = median(*memory(program))
    if row["mb"] <= _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss):
        message = "the bench is larger than what it measures: run it in a process of its own"
        raise RuntimeError(message)
    row["cpu_to_floor"] = paired(truediv, cpu(program), cpu("openai_floor"))
    row["cpu_to_plain"] = paired(truediv, cpu(program), cpu("openai_plain"))
    row["mb_to_floor"] = paired(sub, memory(program), memory("openai_floor"))
    return row


def _environment(bytecode: str) -> dict[str, str]:
    """Return the variables of the programs; all read compiled modules from *bytecode*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith(_SETTINGS)
    }
    # Of two packages of one name, the first on the path counts: one without entry points.
    hiding = Path(bytecode, "hiding", "clew-0.dist-info")
    hiding.mkdir(parents=True)
    (hiding / "METADATA").write_text("Metadata-Version: 2.1\nName: clew\nVersion: 0\n", "utf-8")
    return {
        **kept,
        "HIDES_CLEW": str(hiding.parent),
        "PYTHONHASHSEED": "0",
        "PYTHONPYCACHEPREFIX": bytecode,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }


def _states(environment: Mapping[str, str]) -> dict[str, str]:
    command = [sys.executable, "-P", str(_PROGRAMS / "states.py")]
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    states: dict[str, str] = json.loads(output)
    return states


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _megabytes(maxrss: int) -> float:
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)
