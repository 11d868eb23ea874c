"""StoreExporter: writes spans to the embedded store, from the thread of its queue."""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from clew.core.containment import contain
from clew.export.exit_deadline import is_exiting, seconds_left
from clew.store.fork_guard import close_before_fork, no_fork

if TYPE_CHECKING:
    from clew.sessions.maintenance import Maintenance
    from clew.store.file_writer import FileWriter

logger = logging.getLogger("clew")

_MAINTENANCE_SECONDS = 0.2
"""How long the store is summarised after a batch, how long compressed, and how long cleaned. What
is left is done after the next batch: spans are waiting meanwhile, and only so many may wait."""

_PAUSE = 3
"""How many times as long the thread has for spans, however long that takes; but no pause is made
while the store is too large."""
_PATIENCE_AT_END = 0.1
"""How many seconds others that write are waited for when the process ends."""


class StoreExporter(SpanExporter):
    """Writes spans to an SQLite file, which is opened when the first ones have ended."""

    schedule_delay = 1.0
    """Seconds that a span may wait: somebody may be watching the conversation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileWriter | None = None
        self._lock = Lock()
        self._maintenance: Maintenance | None = None
        self._next_maintenance = 0.0
        self.left_out = 0
        """How many spans of the last export could not be written, though the others were."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write *spans* and commit them; raise an error if they cannot be written."""
        with no_fork(), self._lock:  # Nor while it imports: the child would wait for ever as well.
            self._write(spans)
        if not is_exiting():
            with no_fork(), self._lock:
                if self._file and monotonic() >= self._next_maintenance:
                    self._maintain(self._file, _MAINTENANCE_SECONDS)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file. It is opened again if there are spans after all."""
        with no_fork(), self._lock:
            self._clean()
            self.before_fork()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: whatever was exported is written."""
        return True

    def before_fork(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def after_fork(self) -> None:
        """Have a lock that no thread of the parent holds."""
        self._lock = Lock()

    def _write(self, spans: Sequence[ReadableSpan]) -> None:
        from sqlite3 import Error

        from clew.store.database import explained
        from clew.store.file_writer import FileWriter

        if self._file is None:
            self._file = FileWriter(self.path)
            close_before_fork(self)
        timeout = min(5.0, seconds_left()) if is_exiting() else 5.0
        self.left_out = 0
        try:
            self._add(self._file, spans, timeout)
        except Error as error:
            self._file.close()  # The next spans find a file that is mended, or another one.
            raise explained(self.path, error) from error

    def _add(self, file: "FileWriter", spans: Sequence[ReadableSpan], timeout: float) -> None:
        """Add *spans*; if one has something that nobody has thought of, leave out only that one."""
        from sqlite3 import Error

        from clew.store.database import StoreError
        from clew.store.sdk import record_of

        try:
            file.add([record_of(span) for span in spans], timeout=timeout)
        except (Error, OSError, StoreError):  # It would be the same for each.
            raise
        except Exception:
            if len(spans) == 1:
                self.left_out += 1
                contain("storing a span")
                return
            for span in spans:
                self._add(file, [span], timeout)

    def _clean(self) -> None:
        """Keep the store within its limits: many a process ends before it was maintained."""
        from sqlite3 import Error

        from clew.store.database import patience
        from clew.store.limits import may_be_exceeded

        if self._file is None or (writer := self._file.writer) is None:
            return
        try:
            # Whoever else is writing does the same, and nobody waits long for the end.
            with patience(writer.connection, _PATIENCE_AT_END):
                if may_be_exceeded(writer.connection):
                    self._maintain(self._file, min(_MAINTENANCE_SECONDS, seconds_left() / 10))
        except Error:  # What is wrong with the file was told when spans were to be written.
            logger.debug("clew: it is not known how large the store is", exc_info=True)
        except Exception:
            contain("looking how large the store is")

    def _maintain(self, file: "FileWriter", seconds: float) -> None:
        """Bring the summaries up to date and keep the file small, unless others are doing it."""
        from sqlite3 import OperationalError

        from clew.sessions.maintenance import Maintenance
        from clew.store.limits import is_too_large

        begun, pause = monotonic(), _PAUSE
        if (writer := file.writer) is None:
            return
        if self._maintenance is None:
            self._maintenance = Maintenance()
        try:
            self._maintenance.run(writer.connection, seconds)
            if is_too_large(writer.connection):
                pause = 0
        except OperationalError:  # Another process is writing, or the disk is full. Later, then.
            logger.debug("clew: the store is not summarised now", exc_info=True)
        except Exception:
            contain("summarising the store")
        self._next_maintenance = monotonic() + pause * (monotonic() - begun)
