"""An application that makes sessions with spans when it gets a turn: a row of export, memory, exit.

Its argument is the row. A line on standard input says how many sessions to make; the reply is one
line of JSON. When standard input is closed it ends as any program does, so that what its tracing
does at the end is done.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time_ns, thread_time_ns
from typing import Any

from opentelemetry import trace

row = sys.argv[1]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
SPANS = 10
"""The spans of a session: a turn, and its model calls."""
SESSIONS_AT_ONCE = 100
"""Exported before the next are made: 1,000 spans, half of what a queue holds; none is dropped."""
ATTRIBUTES = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 120,
    "llm.token_count.completion": 30,
    "input.value": "Why does the thread lead out of the labyrinth? " * 4,
    "output.value": "Because Ariadne held the other end of it. " * 4,
}


def bare() -> None:
    """The SDK with batches and OTLP/HTTP; ids are given to each span by hand."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def clew() -> None:
    """Variables say where the spans go: to the collector, or into the store."""
    from clew import instrument_all

    instrument_all()


@contextmanager
def ids_by_hand(number: int) -> Iterator[dict[str, Any]]:
    yield ATTRIBUTES | {"session.id": f"session-{number}", "user.id": f"user-{number}"}


@contextmanager
def ids_of_clew(number: int) -> Iterator[dict[str, Any]]:
    from clew import using_session

    with using_session(f"session-{number}", user_id=f"user-{number}"):
        yield ATTRIBUTES


def sessions(first: int, count: int) -> int:
    """Make sessions; return the nanoseconds of this thread's CPU."""
    begun = thread_time_ns()
    for number in range(first, first + count):
        with block(number) as attributes, make("turn", attributes=attributes):
            for _ in range(SPANS - 1):
                with make("call", attributes=attributes):
                    pass
    return thread_time_ns() - begun


def memory(name: str) -> float:
    """Return VmRSS or VmHWM in megabytes, or 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


start: Callable[[], None] = bare if row.startswith("bare") else clew
block = ids_by_hand if start is bare else ids_of_clew
start()
provider: Any = trace.get_tracer_provider()
make = trace.get_tracer("bench").start_as_current_span
print(json.dumps("ready"), file=answers, flush=True)
made = 0
for line in sys.stdin:
    wanted, flushed = json.loads(line)
    cpu, thread = process_time_ns(), 0
    for begun in range(0, wanted, SESSIONS_AT_ONCE):
        count = min(SESSIONS_AT_ONCE, wanted - begun)
        thread += sessions(made, count)
        made += count
        if flushed:
            provider.force_flush()
    cpu = process_time_ns() - cpu
    gc.collect()
    spans = wanted * SPANS
    result = {
        "thread_us": thread / spans / 1000,
        "cpu_us": cpu / spans / 1000,
        "blocks": sys.getallocatedblocks(),
        "mb": memory("VmRSS"),
        "peak_mb": memory("VmHWM"),
    }
    print(json.dumps(result), file=answers, flush=True)
