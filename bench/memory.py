"""Benchmark of memory: how large an application is after 5,000 sessions, and after 10,000.

Each session has 10 spans, other ids and another user, so after the last there were 100,000 spans.
Everything is exported before memory is read. What a tracer keeps of each session would show as
growth between the two: in bytes, and exactly in the blocks of memory that Python has given out.
What is remembered of a limited number of ids, 4,096 of each kind, is full before the first.
"""

from collections.abc import Mapping
from operator import sub
from statistics import median
from typing import Any

from bench.pairing import Verdict, estimate, paired, table, turns
from bench.spans_processes import SPANS, TITLES, spans_rows, tells_memory

ROUNDS = 5
FEW, MANY = 5_000, 10_000
LIMIT = 0.5
"""Megabytes. 5,000 entries of 100 bytes: a set of the ids alone would take more."""
BLOCKS_LIMIT = 0.1
"""Blocks for each session. Whatever is kept of every session takes at least one."""


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Let new processes make all sessions, in every round; return all results as plain data."""
    if not tells_memory():
        return {"rounds": 0, "rows": {}, "verdicts": ()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TITLES}
    for order in turns(TITLES, rounds):
        with spans_rows(TITLES) as rows:
            few = {name: rows[name].turn(FEW) for name in order}
            many = {name: rows[name].turn(MANY - FEW) for name in order}
        for name in order:
            found[name].append(
                {
                    "few_mb": few[name]["mb"],
                    "many_mb": many[name]["mb"],
                    "grown_mb": many[name]["mb"] - few[name]["mb"],
                    "blocks": (many[name]["blocks"] - few[name]["blocks"]) / (MANY - FEW),
                    "peak_mb": many[name]["peak_mb"],
                }
            )
    compared = {name: _compared(name, found) for name in TITLES}
    promise = f"{MANY - FEW:,} sessions more leave at most {LIMIT} MB more with clew than without"
    verdicts = tuple(
        Verdict(f"{promise}, {what}", compared[name]["grown_mb_to_bare"], LIMIT)
        for name, what in (("clew", "over OTLP"), ("clew_store", "into the store"))
    )
    verdicts += tuple(
        Verdict(
            f"after {FEW:,} sessions, less than a block of memory is kept of ten more, {what}",
            compared[name]["blocks_estimate"],
            BLOCKS_LIMIT,
        )
        for name, what in (("clew", "over OTLP"), ("clew_store", "into the store"))
    )
    return {"rounds": rounds, "rows": compared, "verdicts": verdicts}


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    if not found["rows"]:
        return "Memory is not measured: this system has no /proc/self/status."
    header = [
        f"MB after {FEW * SPANS:,} and {MANY * SPANS:,} spans",
        f"{FEW:,} sessions",
        f"{MANY:,}",
        "to the SDK",
        "growth",
        "to the SDK",
        "blocks a session",
        "peak",
    ]
    lines = [
        [
            TITLES[name],
            f"{row['few_mb']:.1f}",
            f"{row['many_mb']:.1f}",
            row["many_mb_to_bare"].text(1),
            f"{row['grown_mb']:.2f}",
            row["grown_mb_to_bare"].text(),
            row["blocks_estimate"].text(3),
            f"{row['peak_mb']:.1f}",
        ]
        for name, row in found["rows"].items()
    ]
    verdicts = "\n".join(verdict.text() for verdict in found["verdicts"])
    return f"{table([header, *lines])}\n\n{verdicts}"


def _compared(name: str, found: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    def of(row: str, what: str) -> list[list[float]]:
        return [[values[what] for values in found[row]]]

    compared: dict[str, Any] = {"blocks_estimate": estimate(of(name, "blocks"))}
    for what in ("few_mb", "many_mb", "grown_mb", "peak_mb"):
        compared[what] = median(*of(name, what))
        compared[f"{what}_to_bare"] = paired(sub, of(name, what), of("bare", what))
    return compared
