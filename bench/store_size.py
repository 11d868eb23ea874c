"""How many bytes a span takes in the store, and in Phoenix's: rows of ``store.py``.

``BENCH_PHOENIX`` names the command ``phoenix`` of an environment with arize-phoenix.
"""

import os
import sqlite3
import tempfile
import time
from pathlib import Path

from clew.sessions.summaries import bring_up_to_date
from clew.store.compaction import compact
from clew.store.database import connect, file_size
from clew.store.otlp import to_protobuf
from clew.store.record import SpanRecord
from clew.store.writer import Writer
from tests.support.conversations import Conversations
from tests.support.phoenix_server import phoenix

SESSIONS = 120
_BATCH = 200
_PATIENCE = 600


def measure() -> dict[str, float]:
    """Return the bytes per span of each store, for the same spans."""
    records = [span for session in Conversations().sessions(SESSIONS) for span in session]
    with tempfile.TemporaryDirectory() as folder:
        sizes = _clew(Path(folder) / "spans.db", records)
        if command := os.environ.get("BENCH_PHOENIX"):
            sizes["phoenix"] = _phoenix(Path(command), Path(folder) / "phoenix", records)
    return sizes


def _clew(path: Path, records: list[SpanRecord]) -> dict[str, float]:
    connection = connect(path, create=True)
    empty = file_size(connection)
    writer = Writer(connection)
    for start in range(0, len(records), _BATCH):
        writer.add(records[start : start + _BATCH])
    written = file_size(connection)
    bring_up_to_date(connection)
    compact(connection)
    kept = file_size(connection)
    connection.close()
    return {
        "clew, as written": (written - empty) / len(records),
        "clew, summarised and compacted": (kept - empty) / len(records),
    }


def _phoenix(command: Path, folder: Path, records: list[SpanRecord]) -> float:
    with phoenix(command, folder) as running:
        connection = sqlite3.connect(running.database)
        empty = file_size(connection)
        for start in range(0, len(records), _BATCH):
            body = to_protobuf(records[start : start + _BATCH])
            running.post("/v1/traces", body, "application/x-protobuf")
        until = time.monotonic() + _PATIENCE
        while connection.execute("SELECT count(*) FROM spans").fetchone()[0] < len(records):
            if time.monotonic() > until:
                message = "Phoenix has not stored the spans"
                raise TimeoutError(message)
            time.sleep(0.5)
    # After its end, when its log has become part of the file.
    size = file_size(connection)
    connection.close()
    return (size - empty) / len(records)
