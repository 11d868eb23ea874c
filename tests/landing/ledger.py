"""Counts what landed: cells, spans, and every fault, for the summary and the table in the docs."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.landing.reading import READING

_BY_OPENTELEMETRY = re.compile(r"opentelemetry\.instrumentation\.").match


@dataclass
class Row:
    """What came of one framework in one mode."""

    cells: int = 0
    spans: list[Any] = field(default_factory=list)
    missing: int = 0
    wrong: int = 0
    leaked: int = 0
    model_calls: int = 0
    llm_spans: int = 0
    tokens: int = 0
    miscounted: int = 0

    def count(self, told: Any, counted: Any) -> None:
        """Add what a provider told of the model calls of a cell, and what its spans count."""
        self.model_calls += told.calls
        self.llm_spans += counted.calls
        self.tokens += told.usage.total
        self.miscounted += counted.usage != told.usage

    @property
    def unended(self) -> list[Any]:
        """The frameworks' spans that nobody has ended.

        Asked last, because some are ended in a thread. OpenTelemetry's own instrumentation of
        botocore, which is on here as well, forgets an abandoned stream; that is not counted.
        """
        spans = [span for span in self.spans if span.end_time is None]
        return [it for it in spans if not _BY_OPENTELEMETRY(it.instrumentation_scope.name)]


class Ledger:
    """All rows, by framework and mode."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[str, str], Row] = defaultdict(Row)

    def summary(self) -> str:
        """Return the one line that says how the table stands."""
        rows = self.rows.values()
        cells, spans = sum(row.cells for row in rows), sum(len(row.spans) for row in rows)
        faults = ", ".join(
            f"{count} {name}"
            for name, count in (
                ("missing", sum(row.missing for row in rows)),
                ("wrong", sum(row.wrong for row in rows)),
                ("leaked", sum(row.leaked for row in rows)),
                ("unended", sum(len(row.unended) for row in rows)),
                ("miscounted", sum(row.miscounted for row in rows)),
            )
        )
        return f"{cells:,} cells, {spans:,} spans: {faults}"

    def table(self) -> Iterator[str]:
        """Yield the lines of the table, as Markdown."""
        yield (
            "| framework | mode | cells | spans | missing | wrong | leaked | unended "
            "| model calls | LLM spans | tokens | miscounted |"
        )
        yield "|---" * 12 + "|"
        for (framework, mode), row in sorted(self.rows.items()):
            counts = (row.cells, len(row.spans), row.missing, row.wrong, row.leaked)
            calls = (row.model_calls, row.llm_spans, row.tokens, row.miscounted)
            numbers = " | ".join(str(count) for count in (*counts, len(row.unended), *calls))
            yield f"| {framework} | {mode} | {numbers} |"

    def unended(self) -> list[str]:
        """Return the spans that nobody has ended, by framework, mode and name."""
        return sorted(
            f"{framework} {mode}: {span.name}"
            for (framework, mode), row in self.rows.items()
            for span in row.unended
        )

    def write(self, file: Path, ways: Sequence[str]) -> None:
        """Write the page of the documents that shows what is promised."""
        lines = [
            "# What lands",
            "",
            "This page is written by `nox -s landing`, from what it ran. Each cell calls a",
            "framework in one way through its real SDK, inside a session and outside it. Every",
            "span made inside must carry both ids; none outside may. A span is counted from its",
            "start, so one that never ends is counted as well. Each model call is one LLM span,",
            "also one that is refused, and the tokens on the LLM spans are those that the provider",
            "said.",
            "",
            f"**{self.summary()}.**",
            "",
            *READING.page(),
            *self.table(),
            "",
            f"A call is made {len(ways)} ways: {', '.join(way.replace('_', ' ') for way in ways)}.",
            "Streams and coroutines are made inside the session and read outside it: in another",
            "session, another task, another thread, each step in a context of its own, abandoned,",
            "or closed half-way.",
            "",
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))


LEDGER = Ledger()
