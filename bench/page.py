"""Benchmark of the page: how long the server needs for each, and how much it sends.

For each row, three processes start the application and ask for one page: for the first time, and
then again and again. Times are elapsed times: that is what somebody waits for.

``--stores FOLDER`` keeps the stores for the next time, and ``BENCH_SESSIONS`` adds a larger one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench import long_sessions, store_reading
from bench.page_requests import LISTS, LONG
from bench.pairing import Verdict, estimate, table

ROUNDS = 21
PROCESSES = 3
SIZES = sorted({store_reading.SMALL, 10_000, store_reading.LARGE})
WARM_LIMIT, FIRST_LIMIT, BYTES_LIMIT = 100.0, 100.0, 60_000


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Ask for every page of every store; return the results as plain data."""
    found: dict[str, Any] = {"pages": []}
    with ExitStack() as stack:
        kept = os.environ.get("BENCH_STORES")
        folder = Path(kept or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        stores = {
            f"{size:,} sessions": (store_reading.kept_store(folder, size), LISTS) for size in SIZES
        }
        stores["long sessions"] = (_long(folder), LONG)
        for store, (path, pages) in stores.items():
            for page in pages:
                found["pages"].append({"store": store, "page": page, **_run(path, page, rounds)})
    found["verdicts"] = list(_verdicts(found["pages"]))
    return found


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    lines = [["store", "page", "first, ms", "p50, ms", "p95, ms", "kB sent"]]
    for row in found["pages"]:
        if "error" in row:
            lines.append([row["store"], row["page"], row["error"], "-", "-", "-"])
            continue
        lines.append(
            [
                row["store"],
                row["page"],
                f"{median(row['cold']):.0f}",
                f"{median(_all(row['warm'])):.0f}",
                f"{_p95(_all(row['warm'])):.0f}",
                f"{row['bytes'] / 1000:.1f}",
            ]
        )
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table(lines)}\n\n{verdicts}"


def _verdicts(rows: list[dict[str, Any]]) -> list[Verdict]:
    usable = [row for row in rows if "error" not in row]
    slowest = max(usable, key=lambda row: median(_all(row["warm"])))
    first = [row for row in usable if row["page"] == "sessions"][-1]
    coldest = max(usable, key=lambda row: median(row["cold"]))
    return [
        Verdict(
            "every page takes at most 100 ms on the server "
            f"(slowest: {slowest['page']}, {slowest['store']})",
            estimate(slowest["warm"]),
            WARM_LIMIT,
        ),
        Verdict(
            "and when it is the first that is asked for "
            f"(slowest: {coldest['page']}, {coldest['store']})",
            estimate([coldest["cold"]]),
            FIRST_LIMIT,
        ),
        Verdict(
            f"the first view of the list takes at most 100 ms ({first['store']})",
            estimate([first["cold"]]),
            FIRST_LIMIT,
        ),
        Verdict(
            f"and at most 60,000 bytes ({first['store']})",
            estimate([[float(first["bytes"])]]),
            BYTES_LIMIT,
        ),
    ]


def _all(groups: list[list[float]]) -> list[float]:
    return [value for group in groups for value in group]


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def _long(folder: Path) -> Path:
    path = folder / "long.db"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        long_sessions.make(unfinished)
        unfinished.rename(path)
    return path


def _run(store: Path, page: str, rounds: int) -> dict[str, Any]:
    """Return the times of the first requests, those of the others, and the bytes of one."""
    runs = [_run_once(store, page, -(-rounds // PROCESSES)) for _ in range(PROCESSES)]
    if failed := [run for run in runs if "error" in run]:
        return failed[0]
    return {
        "cold": [run["cold"] for run in runs],
        "warm": [run["warm"] for run in runs],
        "bytes": runs[0]["bytes"],
    }


def _run_once(store: Path, page: str, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.page_requests", str(store), page, str(rounds)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CLEW_"))
    }
    root = Path(__file__).parent.parent
    process = subprocess.run(
        command, cwd=root, env=environment, check=False, capture_output=True, text=True
    )  # fmt: skip
    if process.returncode:
        return {"error": process.stderr.strip().rpartition("\n")[2][:60]}
    answer: dict[str, Any] = json.loads(process.stdout)
    return answer
