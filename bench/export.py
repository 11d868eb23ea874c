"""Benchmark of export: the CPU of a span that goes to a collector, or into the store.

The application's thread waits for what it does itself; the whole process also encodes, compresses
and sends the spans, or writes them. Each row is a process of its own, and the rows take turns.
"""

from collections.abc import Mapping
from operator import truediv
from statistics import median
from typing import Any

from bench.pairing import Verdict, paired, table, turns
from bench.spans_processes import SPANS, TITLES, spans_rows

ROUNDS = 40
SESSIONS = 100
THREAD_LIMIT = 1.10


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Run all rows in turns; return all results as plain data."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in TITLES}
    with spans_rows(TITLES) as rows:
        for row in rows.values():
            row.turn(SESSIONS)
        for order in turns(rows, rounds):
            for name in order:
                times[name].append(rows[name].turn(SESSIONS))
    compared = {name: _compared(name, times) for name in TITLES}
    promise = (
        "a span that goes into the store takes at most 10 % more of the application's thread "
        "than one that clew sends by OTLP"
    )
    return {
        "rounds": rounds,
        "spans": SESSIONS * SPANS,
        "rows": compared,
        "verdicts": (Verdict(promise, compared["clew_store"]["thread_to_clew"], THREAD_LIMIT),),
    }


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    header = ["a span and its export", "us of the thread", "to the SDK", "to clew, OTLP"]
    header += ["us of all threads", "to the SDK"]
    lines = [
        [
            TITLES[name],
            f"{row['thread_us']:.1f}",
            row["thread_to_bare"].text(3),
            row["thread_to_clew"].text(3),
            f"{row['cpu_us']:.1f}",
            row["cpu_to_bare"].text(3),
        ]
        for name, row in found["rows"].items()
    ]
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table([header, *lines])}\n\n{verdicts}"


def _compared(name: str, times: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    def of(row: str, what: str) -> list[list[float]]:
        return [[turn[what] for turn in times[row]]]

    return {
        "thread_us": median(*of(name, "thread_us")),
        "thread_to_bare": paired(truediv, of(name, "thread_us"), of("bare", "thread_us")),
        "thread_to_clew": paired(truediv, of(name, "thread_us"), of("clew", "thread_us")),
        "cpu_us": median(*of(name, "cpu_us")),
        "cpu_to_bare": paired(truediv, of(name, "cpu_us"), of("bare", "cpu_us")),
    }
