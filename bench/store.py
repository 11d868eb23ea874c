"""Benchmark of the embedded store: writing, the application's thread, reading, and size.

Times are CPU time, of all threads for writing and of the application's thread for ending spans. The
sides take turns within one process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

from bench import store_reading, store_size
from bench.pairing import Estimate, Verdict, estimate, paired, table

ROUNDS = 20
PROCESSES = 4
READS = 7
WRITING_LIMIT, ENDING_LIMIT, READING_LIMIT, SEARCH_LIMIT = 2.0, 1.1, 2.0, 100.0


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Run all parts; return their results as plain data."""
    each = -(-rounds // PROCESSES)
    found: dict[str, Any] = {"rows": {}}
    for part in ("writing", "ending"):
        runs = [_run(part, each) for _ in range(PROCESSES)]
        for side in runs[0]:
            found["rows"][f"{part}: {side}"] = [run[side] for run in runs]
    rows = found["rows"]
    found["reading"] = store_reading.measure(READS)
    found["bytes per span"] = store_size.measure()
    lists = {
        name: _ratio(times)
        for name, times in found["reading"].items()
        if name.startswith(("list", "open"))
    }
    slowest = max(lists, key=lambda name: lists[name].median)
    searches = {
        name: estimate([[cpu for cpu, _ in times[store_reading.LARGE]]])
        for name, times in found["reading"].items()
        if name.startswith("search")
    }
    longest = max(searches, key=lambda name: searches[name].median)
    number = f"{store_reading.LARGE:,}"
    found["verdicts"] = [
        Verdict(
            "writing takes at most twice as long as executemany of ready-made rows",
            paired(truediv, rows["writing: clew"], rows["writing: bare"]),
            WRITING_LIMIT,
        ),
        Verdict(
            "ending a span costs at most 10 % more than with the SDK's processor and no export",
            paired(truediv, rows["ending: clew"], rows["ending: bare"]),
            ENDING_LIMIT,
        ),
        Verdict(
            f"listing and opening among {number} sessions take at most twice as long as among "
            f"{store_reading.SMALL:,} (slowest: {slowest})",
            lists[slowest],
            READING_LIMIT,
        ),
        Verdict(
            f"a search among {number} sessions takes at most 100 ms (slowest: {longest})",
            searches[longest],
            SEARCH_LIMIT,
        ),
    ]
    return found


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    lines = [["per span", "us of CPU", "spans/s"]]
    for name, groups in found["rows"].items():
        microseconds = median(time for group in groups for time in group)
        lines.append([name, f"{microseconds:.1f}", f"{1e6 / microseconds:,.0f}"])
    small, large = store_reading.SMALL, store_reading.LARGE
    reading = [["question", f"{small:,} sessions, ms", f"{large:,} sessions, ms", "ratio"]]
    for name, times in found["reading"].items():
        cells = [
            f"{median(cpu for cpu, _ in times[number]):.1f}"
            f" ({median(wall for _, wall in times[number]):.1f} elapsed)"
            for number in (small, large)
        ]
        reading.append([name, *cells, _ratio(times).text()])
    sizes = [["store", "bytes per span"]]
    sizes += [[name, f"{size:,.0f}"] for name, size in found["bytes per span"].items()]
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table(lines)}\n\n{table(reading)}\n\n{table(sizes)}\n\n{verdicts}"


def _ratio(times: Mapping[int, list[tuple[float, float]]]) -> Estimate:
    """Return the CPU time in the large store as a multiple of that in the small one."""
    large, small = (
        [cpu for cpu, _ in times[it]] for it in (store_reading.LARGE, store_reading.SMALL)
    )
    return paired(truediv, [large], [small])


def _run(part: str, rounds: int) -> dict[str, list[float]]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "CLEW_", "OPENINFERENCE_"))
    }
    command = [sys.executable, "-m", "bench.store_writing", part, str(rounds)]
    root = Path(__file__).parent.parent
    process = subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE)
    times: dict[str, list[float]] = json.loads(process.stdout)
    return times
