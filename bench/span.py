"""Benchmark of one span: the CPU time that a session and a user on it cost.

A span is made as an application makes one, ``with tracer.start_as_current_span(...)``, on a tracer
provider that exports nothing. On one that clew makes, no span reaches the attribute limit; on an
application's own, with the default limit of 128, clew also keeps each span from losing its ids.

All rows take turns in one process, in small batches. There are several processes, because memory
layout and hashes make one faster than another, which more rounds in one process do not change.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from operator import sub, truediv
from pathlib import Path
from statistics import median
from typing import Any

from bench.pairing import Verdict, paired, table

ROUNDS = 200
PROCESSES = 10
SPANS = 200
LIMIT = 0.8
LIMIT_OI = 1.05

_TITLES = {
    "plain": "SDK alone, no ids",
    "by_hand": "SDK, ids given to each span by hand",
    "baggage": "SDK + BaggageSpanProcessor",
    "clew": "clew, on the provider that it makes",
    "clew_keeping": "clew, on an application's provider",
    "oi": "OITracer, upstream's blocks",
    "oi_clew": "OITracer on clew's provider",
}


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Run one batch of every row per round; return all results as plain data."""
    each = -(-rounds // PROCESSES)
    runs = [_run(each) for _ in range(PROCESSES)]
    times = {name: [run[name] for run in runs] for name in _TITLES}
    rows: dict[str, dict[str, Any]] = {
        name: {
            "us": median(time for run in times[name] for time in run),
            "us_to_plain": paired(sub, times[name], times["plain"]),
            "us_to_hand": paired(sub, times[name], times["by_hand"]),
            "to_baggage": paired(truediv, times[name], times["baggage"]),
            "to_oi": paired(truediv, times[name], times["oi"]),
        }
        for name in _TITLES
    }
    promise = "a span with clew costs at most 0.8 us more than with the ids given by hand"
    verdicts = (
        Verdict(promise, rows["clew"]["us_to_hand"], LIMIT),
        Verdict(
            f"{promise}, on an application's provider", rows["clew_keeping"]["us_to_hand"], LIMIT
        ),
        Verdict(
            "an instrumentor's span costs at most 5 % more than with upstream's blocks",
            rows["oi_clew"]["to_oi"],
            LIMIT_OI,
        ),
    )
    return {"rounds": each * PROCESSES, "spans": SPANS, "rows": rows, "verdicts": verdicts}


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    lines = [
        [
            "one span",
            "us",
            "added to SDK alone",
            "us more than by hand",
            "to Baggage",
            "to OITracer",
        ]
    ]
    for name, row in found["rows"].items():
        of_oi = name.startswith("oi")
        line = [
            _TITLES[name],
            f"{row['us']:.2f}",
            "-" if name == "plain" else row["us_to_plain"].text(),
            "-" if name == "plain" or of_oi else row["us_to_hand"].text(),
            "-" if of_oi else row["to_baggage"].text(3),
            row["to_oi"].text(3) if of_oi else "-",
        ]
        lines.append(line)
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table(lines)}\n\n{verdicts}"


def _run(rounds: int) -> dict[str, list[float]]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "CLEW_", "OPENINFERENCE_"))
    }
    command = [sys.executable, "-m", "bench.span_rows", str(rounds), str(SPANS)]
    root = Path(__file__).parent.parent
    process = subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE)
    times: dict[str, list[float]] = json.loads(process.stdout)
    return times
