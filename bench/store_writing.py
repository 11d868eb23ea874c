"""What the store costs while an application runs: the program of two rows of ``store.py``.

``python -m bench.store_writing writing|ending ROUNDS`` writes one line of JSON to standard output:
for each side, the microseconds of CPU per span in each round.
"""

import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import process_time_ns, thread_time_ns
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from bench.pairing import turns
from clew.export.delivery_processor import Delivery
from clew.export.store_exporter import StoreExporter
from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import connect, transaction
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.support.conversations import Conversations

SPANS = 4096
_BATCH = 512
"""As many spans as are exported at once."""


class Nothing(SpanExporter):
    """Exports nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's
        return SpanExportResult.SUCCESS


def writing(rounds: int) -> dict[str, list[float]]:
    """Write the same spans with `Writer.add`, and as ready-made rows with `executemany`."""
    records = [span for session in Conversations().sessions(600) for span in session][:SPANS]
    with _new_store() as connection:
        Writer(connection).add(records)
        rows = connection.execute("SELECT * FROM span").fetchall()
    sides: dict[str, Callable[[], float]] = {
        "bare": lambda: _bare(rows),
        "clew": lambda: _clew(records),
        "summarising": lambda: _afterwards(records, bring_up_to_date),
        "compacting": lambda: _afterwards(records, compact),
    }
    return _measured(sides, rounds)


def ending(rounds: int) -> dict[str, list[float]]:
    """Start and end spans whose exporter is the store, or does nothing."""
    return _measured({"bare": _with_nothing, "clew": _with_the_store}, rounds)


def _measured(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for order in turns(sides, rounds):
        for name in order:
            gc.collect()
            gc.disable()
            try:
                times[name].append(sides[name]())
            finally:
                gc.enable()
    return times


@contextmanager
def _new_store() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        connection = connect(Path(folder) / "spans.db", create=True)
        yield connection
        connection.close()


def _batches(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(things), _BATCH):
        yield things[start : start + _BATCH]


def _bare(rows: Sequence[tuple[Any, ...]]) -> float:
    insert = f"INSERT INTO span VALUES ({', '.join('?' * len(rows[0]))})"
    with _new_store() as connection:
        begun = process_time_ns()
        for batch in _batches(rows):
            with transaction(connection):
                connection.executemany(insert, batch)
        return (process_time_ns() - begun) / len(rows) / 1000


def _clew(records: Sequence[SpanRecord]) -> float:
    with _new_store() as connection:
        begun = process_time_ns()
        own = Writer(connection)
        for batch in _batches(records):
            own.add(batch)
        return (process_time_ns() - begun) / len(records) / 1000


def _afterwards(records: Sequence[SpanRecord], do: Callable[[Any], Any]) -> float:
    with _new_store() as connection:
        Writer(connection).add(records)
        if do is compact:
            connection.execute("UPDATE progress SET value = 1000000000 WHERE name = 'summarised'")
        begun = process_time_ns()
        do(connection)
        return (process_time_ns() - begun) / len(records) / 1000


def _with_nothing() -> float:
    return _ended(BatchSpanProcessor(Nothing()))


def _with_the_store() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _ended(Delivery([StoreExporter(Path(folder) / "spans.db")]))


def _ended(processor: SpanProcessor) -> float:
    """Return the CPU time of the thread that makes the spans; what is queued is not waited for."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("bench")
    attributes = {"session.id": "s1", "user.id": "ada", "input.value": "some words " * 20}
    spans = 1500  # Fewer than the queue holds, so that none is dropped.
    begun = thread_time_ns()
    for _ in range(spans):
        with tracer.start_as_current_span("work", attributes=attributes):
            pass
    taken = thread_time_ns() - begun
    provider.shutdown()
    return taken / spans / 1000


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2]))))
