"""Benchmark of one call: the time that tracing adds to an OpenAI call, also with a dead collector.

Each row is an application in a process of its own, which calls a provider in another and exports to
a collector in a third, all on this machine. The rows take turns. The provider answers immediately,
so that tracing is as large a part of the call as possible. Only the time to a stream's first token
is measured with a provider that waits first, as hosted models do.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from operator import truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.call_processes import Row, ask, can_run, dead_collector, need, serving
from bench.pairing import Verdict, paired, table, turns

ROUNDS = 100
CALLS = 10
"""The calls of each row in each round: in 100 rounds 1,000, and as many asynchronous ones."""
STREAMS = 5
LATENCY = 25
"""Milliseconds until the first token. Hosted models take at least ten times as long."""
LIMIT = 1.10
LIMIT_DEAD = 1.05
LIMIT_FIRST_TOKEN = 1.03

_MODEL = "gpt-4o"  # Each tracer uses another attribute for it.
_IDS = {"session.id": "chat-42", "user.id": "ada"}
_TITLES = {
    "plain": "plain: openai, not traced",
    "bare": "OpenInference's instrumentor, SDK, OTLP/HTTP in batches",
    "clew": "clew: instrument_all(), with session and user",
    "clew_dead": "clew, and the collector is dead",
    "clew_store": "clew, into its store, with session and user",
    "phoenix": "phoenix: register(auto_instrument=True)",
    "phoenix_batch": "phoenix: register(auto_instrument=True, batch=True)",
    "traceloop": "traceloop: Traceloop.init()",
    "langfuse": "langfuse: langfuse.openai",
    "logfire": "logfire: instrument_openai()",
}
_WAYS = {"sync": CALLS, "async": CALLS, "stream": STREAMS}
_HEADINGS = {
    "sync": "one call",
    "async": "asynchronous, 4 in flight",
    "stream": f"first token, after {LATENCY} ms",
}


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Run all rows in turns; return all results as plain data."""
    names = [name for name in _TITLES if can_run(name)]
    found: dict[str, dict[str, list[tuple[float, float]]]] = {
        way: {name: [] for name in names} for way in _WAYS
    }
    with ExitStack() as stack:
        addresses = {
            "fast": stack.enter_context(serving("call_provider.py", "0")),
            "slow": stack.enter_context(serving("call_provider.py", str(LATENCY))),
            "sink": stack.enter_context(serving("call_sink.py")),
            "dead": stack.enter_context(dead_collector()),
        }
        rows = {}
        for name in names:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            rows[name] = Row(name, addresses, store=folder / "sessions.db")
            stack.callback(rows[name].close)
            _check(rows[name], addresses["sink"])
        ask(addresses["sink"], "stop")
        for order in turns(names, rounds):
            for way, calls in _WAYS.items():
                for name in order:
                    found[way][name].append(rows[name].turn(way, calls))
        blocked = _upstream_and_a_dead_collector(addresses)
    ways = {way: {name: _compared(name, found[way]) for name in names} for way in _WAYS}
    return {
        "rounds": rounds,
        "absent": [name for name in _TITLES if name not in names],
        "ways": ways,
        "blocked": blocked,
        "verdicts": _verdicts(ways),
    }


def report(found: Mapping[str, Any]) -> str:
    """Return the results of `measure` as text."""
    texts = []
    for way, rows in found["ways"].items():
        header = [_HEADINGS[way], "ms", "ratio to plain", "ratio to bare", "CPU ms", "CPU to bare"]
        lines = [
            [
                _TITLES[name],
                f"{row['ms']:.2f}",
                row["to_plain"].text(3),
                row["to_bare"].text(3),
                f"{row['cpu_ms']:.2f}",
                row["cpu_to_bare"].text(),
            ]
            for name, row in rows.items()
        ]
        texts.append(table([header, *lines]))
    if found["absent"]:
        absent = ", ".join(f"{name} (needs {need(name)})" for name in found["absent"])
        texts.append(f"Left out, because it is not installed: {absent}.")
    if found["blocked"] is not None:
        texts.append(
            "phoenix's register(), as it is by default, with the same dead collector: "
            f"{found['blocked']:.1f} s for one call."
        )
    texts.append("\n".join(verdict.text() for verdict in found["verdicts"]))
    return "\n\n".join(texts)


def _compared(name: str, turned: Mapping[str, list[tuple[float, float]]]) -> dict[str, Any]:
    def wall(row: str) -> list[list[float]]:
        return [[seconds for seconds, _ in turned[row]]]

    def cpu(row: str) -> list[list[float]]:
        return [[cpu_seconds for _, cpu_seconds in turned[row]]]

    compared: dict[str, Any] = {
        "ms": 1000 * median(*wall(name)),
        "cpu_ms": 1000 * median(*cpu(name)),
        "to_plain": paired(truediv, wall(name), wall("plain")),
        "to_bare": paired(truediv, wall(name), wall("bare")),
        "cpu_to_bare": paired(truediv, cpu(name), cpu("bare")),
    }
    if name == "clew_dead":
        compared["to_live"] = paired(truediv, wall(name), wall("clew"))
    return compared


def _verdicts(ways: Mapping[str, Mapping[str, Any]]) -> tuple[Verdict, ...]:
    call = "a call with clew takes at most 10 % longer than with the bare instrumentor"
    dead = "a dead collector makes clew's calls at most 5 % slower than a live one"
    first = "the first token comes at most 3 % later than untraced"
    return (
        Verdict(call, ways["sync"]["clew"]["to_bare"], LIMIT),
        Verdict(f"{call}, asynchronously", ways["async"]["clew"]["to_bare"], LIMIT),
        Verdict(dead, ways["sync"]["clew_dead"]["to_live"], LIMIT_DEAD),
        Verdict(f"{dead}, asynchronously", ways["async"]["clew_dead"]["to_live"], LIMIT_DEAD),
        Verdict(first, ways["stream"]["clew"]["to_plain"], LIMIT_FIRST_TOKEN),
    )


def _check(row: Row, sink: str) -> None:
    """Warm *row* up, and raise unless it makes the right spans: a row without spans is fast."""
    for way, calls in _WAYS.items():
        row.turn(way, calls)
    spans = row.stored() if row.name == "clew_store" else ask(sink, "spans")
    # Logfire also exports logs for a stream.
    made = [
        span
        for span in spans
        if _MODEL in span.values() and span.get("logfire.span_type", "span") == "span"
    ]
    calls = sum(_WAYS.values())
    right = len(made) == {"plain": 0, "clew_dead": 0}.get(row.name, calls)
    if row.name == "clew_dead":
        right = row.lost == calls
    if row.name in {"clew", "clew_store"}:
        right = right and all(span.items() >= _IDS.items() for span in spans)
    if not right:
        message = f"{row.name} made {len(made)} spans for {calls} calls: {spans[:1]}"
        raise RuntimeError(message)


def _upstream_and_a_dead_collector(addresses: Mapping[str, str]) -> float | None:
    """Return the seconds of one call with phoenix's default, which exports during the call."""
    if not can_run("phoenix"):
        return None
    row = Row("phoenix_dead", addresses)
    try:
        return row.turn("sync", 1)[0]
    finally:
        row.close()
