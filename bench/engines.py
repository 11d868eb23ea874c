"""What questions cost on engines: cold and warm, beside the same questions written by hand.

``BENCH_ENGINE_SESSIONS=1000,10000`` says how large the stores are; ``BENCH_STORES`` names a folder
in which they are kept. Each engine is asked in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.engine_stores import BASE, Engines, stores
from bench.pairing import Estimate, Verdict, estimate, paired, table
from clew.sessions.engines.location import connect, window_of
from clew.sessions.engines.store import EngineStore
from clew.sessions.engines.updating import How

ROUNDS = 9
SIZES = tuple(map(int, os.environ.get("BENCH_ENGINE_SESSIONS", f"{BASE},10000").split(",")))
ENGINES = ("DuckDB, Parquet", "ClickHouse", "Sail, Parquet")
_BY_HAND, _SCAN, _POINT = 1.2, 1.2, 2.0
"""Promised: a question is at most so many times slower than by hand; one that has to read
everything grows at most so much more than the store, and any other at most twofold."""
_SERVER = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""


def measure(rounds: int) -> dict[str, Any]:
    """Ask each engine in a store of each size."""
    with ExitStack() as stack:
        kept = os.environ.get("BENCH_STORES")
        folder = Path(kept or stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(sail()) if find_spec("pysail") else None
        found: dict[str, dict[int, Any]] = {}
        for size in SIZES:
            for engine, arguments in _places(stores(folder, size), server).items():
                found.setdefault(engine, {})[size] = _asked(arguments, rounds)
        workers = _updates(stores(folder, SIZES[0]))
    return {"engines": found, "workers": workers, "verdicts": list(_verdicts(found))}


def _places(made: Engines, server: str | None) -> dict[str, list[str]]:
    folder = str(made.folder)
    places = {
        ENGINES[0]: [made.parquet, folder, "duckdb"],
        ENGINES[1]: [made.clickhouse, folder, "clickhouse"],
    }
    if server is not None:
        places[ENGINES[2]] = [made.spark(server), folder, "spark", "--only-spans"]
    return places


def _asked(arguments: list[str], rounds: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.engine_questions", *arguments, "--rounds", str(rounds)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def sail() -> Iterator[str]:
    """Run a server of Sail's; yield its address."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        if it.stdout is None or it.stdin is None:
            message = "the server has no pipes"
            raise RuntimeError(message)
        yield f"sc://127.0.0.1:{int(it.stdout.readline())}"
        it.stdin.close()  # It ends when its input does.


def _updates(made: Engines) -> dict[int, float]:
    """Return how many sessions a second so many processes summarise."""
    found = {}
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            url = f"{made.parquet}?until=2025-06-15T16:30"
            place = connect(url, Path(folder))
            begun = perf_counter()
            how = How(window_of(url), processes)
            with EngineStore(place.source, place.tables, how) as store:
                store.catch_up()
                seconds = perf_counter() - begun
                (row,) = store.sql("SELECT count(*) AS sessions FROM sessions")
            found[processes] = row["sessions"] / seconds
    return found


def _warm(times: Mapping[str, Any], way: str = "clew") -> list[float]:
    return times[way][1:] or times[way]  # type: ignore[no-any-return]


def _ratio(times: Mapping[str, Any]) -> Estimate | None:
    if "by hand" not in times:
        return None
    pairs = zip(_warm(times), _warm(times, "by hand"), strict=True)
    return estimate([[ours / theirs] for ours, theirs in pairs])


def _verdicts(found: Mapping[str, Mapping[int, Any]]) -> Iterator[Verdict]:
    for engine, sizes in found.items():
        largest = sizes[max(sizes)]
        for name, times in largest.items():
            if (ratio := _ratio(times)) is not None:
                yield Verdict(f"{engine}: {name}, by hand", ratio, _BY_HAND)
        for (small, before), (large, after) in pairwise(sizes.items()):
            for name, times in after.items():
                ours, theirs = _warm(times), _warm(before[name])
                growth = paired(lambda a, b: a / b, [[it] for it in ours], [[it] for it in theirs])
                limit = large / small * _SCAN if times["is_scan"] else _POINT
                yield Verdict(f"{engine}: {name}, {small} to {large} sessions", growth, limit)


def report(found: dict[str, Any]) -> str:
    """Return the tables, the speed of updates, and what was not kept."""
    lines = []
    for engine, sizes in found["engines"].items():
        header = ["question"]
        for size in sizes:
            header += [f"{size:,}: cold ms", "warm ms", "by hand ms", "ratio"]
        body = [header]
        for name in sizes[SIZES[0]]:
            row = [name]
            for times in sizes.values():
                row += _cells(times[name])
            body.append(row)
        lines += [f"{engine}", "", table(body), ""]
    for processes, speed in found["workers"].items():
        lines.append(f"{processes} process(es) summarise {speed:.1f} sessions a second")
    verdicts = found["verdicts"]
    kept = sum(it.kept for it in verdicts)
    lines += ["", f"{kept} of {len(verdicts)} promises are kept", ""]
    lines += [it.text() for it in verdicts if not it.kept]
    return "\n".join(lines)


def _cells(times: Mapping[str, Any]) -> list[str]:
    ratio = _ratio(times)
    return [
        f"{times['clew'][0] * 1000:.0f}",
        f"{median(_warm(times)) * 1000:.0f}",
        f"{median(_warm(times, 'by hand')) * 1000:.0f}" if ratio else "",
        ratio.text() if ratio else "",
    ]
