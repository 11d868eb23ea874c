"""Inserts spans into ClickHouse, into the table that the OpenTelemetry Collector fills."""

from collections.abc import Sequence
from typing import Self

from clew.cli.export.errors import ExportError
from clew.core.install_command import pip_line
from clew.sessions.engines.errors import EngineError
from clew.store.record import SpanRecord


class ClickHouse:
    """A table of spans in ClickHouse."""

    def __init__(self, url: str) -> None:
        """Connect to the ClickHouse at *url*, and make the table where there is none."""
        from clew.sessions.engines.clickhouse_engine import open_engine

        try:
            engine = open_engine(url)
            engine.make_table()
            self.name = f"{engine.label} {engine.table.name}"
        except EngineError as error:
            raise ExportError(str(error)) from error
        except ImportError as error:
            message = f"--to clickhouse needs {error.name}; {pip_line('clickhouse')}"
            raise ExportError(message) from error
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def add(self, spans: Sequence[SpanRecord]) -> int:
        """Insert those of *spans* that are not there, and return how many that were.

        They are looked for before, because an export may have been interrupted after it had
        inserted them, and counted after it.
        """
        wanted = {(it.trace_id.hex(), it.span_id.hex()): it for it in spans}
        try:
            there = self._engine.stored(spans)
            self._engine.insert_records([it for key, it in wanted.items() if key not in there])
            found = len(self._engine.stored(spans))
        except EngineError as error:
            raise ExportError(str(error)) from error
        if found != len(wanted):
            message = f"{self.name} has {found} of {len(wanted)} spans after they were inserted"
            raise ExportError(message)
        return len(wanted) - len(there)
