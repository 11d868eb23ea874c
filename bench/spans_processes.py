"""Starts the applications that ``export.py``, ``memory.py`` and ``exit.py`` compare."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.call_processes import Program, ask, serving
from clew import sessions

SPANS = 10
"""The spans of each session, as in ``programs/spans_row.py``."""
TITLES = {
    "bare": "the SDK's batch processor, OTLP/HTTP, ids by hand",
    "clew": "clew, OTLP/HTTP, session and user",
    "clew_store": "clew, into its store, session and user",
}


class SpansRow:
    """One application, which makes sessions when it gets a turn."""

    def __init__(self, name: str, collector: str, folder: Path) -> None:
        self.name = name
        self._collector = collector
        self._store = folder / "sessions.db" if name == "clew_store" else None
        where = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        if self._store is not None:
            where = {"CLEW_STORE": str(self._store)}
        self._program = Program(sys.executable, "spans_row.py", name, **where)
        self._program.receive()

    def turn(self, count: int, *, flushed: bool = True) -> dict[str, float]:
        """Make *count* sessions; return the microseconds of a span, and the megabytes after it."""
        self._program.send([count, flushed])
        result: dict[str, float] = self._program.receive()
        return result

    def check(self, count: int) -> None:
        """Make *count* sessions; raise unless their spans arrived: a row without spans is fast."""
        self.turn(count)
        if self._store is not None:
            with sessions.open(self._store) as store:
                found = [row["spans"] for row in store.sql("SELECT spans FROM sessions")]
        else:
            found = list(_spans_of(ask(self._collector, "spans")).values())
        if found != [SPANS] * count:
            message = f"{self.name} made {count} sessions of {SPANS} spans; arrived: {found}"
            raise RuntimeError(message)

    def close(self) -> None:
        """Let it end, and wait for that."""
        self._program.close()


@contextmanager
def spans_rows(names: Mapping[str, str]) -> Iterator[dict[str, SpansRow]]:
    """Run the rows of these names, all warm and checked, until the end of the block."""
    with ExitStack() as stack:
        sink = stack.enter_context(serving("call_sink.py"))
        rows = {}
        for name in names:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            rows[name] = SpansRow(name, sink, folder)
            stack.callback(rows[name].close)
            rows[name].check(20)
        ask(sink, "stop")
        yield rows


def tells_memory() -> bool:
    """Return whether this system says how large a process is, as Linux does."""
    return Path("/proc/self/status").exists()


def _spans_of(spans: list[dict[str, Any]]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for span in spans:
        identity = f"{span.get('session.id')} {span.get('user.id')}"
        counted[identity] = counted.get(identity, 0) + 1
    return counted
