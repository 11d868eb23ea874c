"""Benchmark of exit: seconds until a process has ended that leaves spans which cannot be delivered.

The collector is dead in two ways: nothing listens on its port, or something accepts connections and
never answers. The application has made 1,000 spans and exported none of them when it ends.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from operator import sub, truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from bench.call_processes import dead_collector, serving
from bench.pairing import Verdict, estimate, paired, table, turns
from bench.spans_processes import TITLES, SpansRow

ROUNDS = 5
SESSIONS = 100
LIMIT = 3.5
"""Seconds more than with a live collector: the three of CLEW_EXIT_TIMEOUT, and what is noise."""

_ROWS = ("bare", "clew")
_WAYS = {
    "live": "a live collector",
    "refusing": "nothing listens on the port",
    "silent": "accepts, and never answers",
}


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """End a new process of every row in every way, in every round; return plain data."""
    seconds: dict[str, dict[str, list[float]]] = {way: {row: [] for row in _ROWS} for way in _WAYS}
    with ExitStack() as stack:
        collectors = {
            "live": stack.enter_context(serving("call_sink.py")),
            "refusing": stack.enter_context(dead_collector()),
            "silent": stack.enter_context(_silent_collector()),
        }
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for order in turns(_ROWS, rounds):
            for way, collector in collectors.items():
                for row in order:
                    seconds[way][row].append(_ended(row, collector, folder))
    ways = {
        way: {
            row: {
                "seconds": estimate([times[row]]),
                "to_live": paired(sub, [times[row]], [seconds["live"][row]]),
                "to_bare": paired(truediv, [times[row]], [times["bare"]]),
            }
            for row in _ROWS
        }
        for way, times in seconds.items()
    }
    verdicts = tuple(
        Verdict(
            f"a collector that {what} makes the end of a process at most {LIMIT} s later with clew",
            ways[way]["clew"]["to_live"],
            LIMIT,
        )
        for way, what in (("refusing", "refuses connections"), ("silent", "never answers"))
    )
    return {"rounds": rounds, "ways": ways, "verdicts": verdicts}


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    lines = [["exit with 1,000 spans", "collector", "s", "s to a live one", "ratio to the SDK"]]
    lines += [
        [
            TITLES[row],
            _WAYS[way],
            result["seconds"].text(),
            result["to_live"].text(),
            result["to_bare"].text(),
        ]
        for way, rows in found["ways"].items()
        for row, result in rows.items()
    ]
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table(lines)}\n\n{verdicts}"


def _ended(name: str, collector: str, folder: Path) -> float:
    """Return the seconds from the end of the application's own work to that of the process."""
    row = SpansRow(name, collector, folder)
    row.turn(SESSIONS, flushed=False)
    begun = perf_counter()
    row.close()
    return perf_counter() - begun


@contextmanager
def _silent_collector() -> Iterator[str]:
    """Yield the address of a collector whose connections are accepted and never answered.

    The system accepts them, as nobody takes them from the queue of the socket.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
