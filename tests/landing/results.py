"""Counts the cells, spans and faults, for the summary and for docs/landing.md."""

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core.frameworks import FRAMEWORKS
from tests.landing.recording_results import RECORDING_RESULTS

_BY_OPENTELEMETRY = re.compile(r"opentelemetry\.instrumentation\.").match
_PAGE = """\
# The landing table

`nox -s landing` writes this page. It runs every way of calling the six frameworks, through their
real SDKs, against a provider server that records its requests and responses, and counts the spans.

**{summary}.**

{recordings}\
## The ids

Each call is made once inside a session and once outside it. Spans of the framework, of HTTP
clients and of the application are all counted when they start, so one that never ends counts too.

- **mode**: what is called, or how: synchronously or asynchronously, as a stream, several at a time
  (`fan_out`), with tools, with structured output (`structured`), with a server that refuses
  (`error_4xx`), fails (`error_5xx`), fails once (`retry`) or never answers (`timeout`).
  *Read elsewhere* is what is created inside the session and read outside it; *long conversations*
  exceed the 128 attributes that a span may have; *recorded traffic* is that of real providers.
- **cells**: the number of tests in the row: each call of the mode in each of the ways below.
- **spans**: the number of spans that those calls started, inside the session and outside it.
- **missing**: spans started inside that lack one of the two ids.
- **wrong**: spans started inside that carry another session's or user's id.
- **leaked**: spans started outside that carry an id.
- **unended**: spans that were never ended.

{ids}

## The model calls

Each model call is one LLM span, and the tokens on the LLM spans are those that the provider stated.
Rows without a model call are left out, and so are those in which a stream may be closed before the
provider has stated its tokens.

- **answered**: model calls that the provider server answered, by its own record.
- **LLM spans**: spans of the kind `LLM`. There are more of these than answered calls where calls
  fail (`error_4xx`, `error_5xx`, `timeout`), since a failed call is an LLM span with an error;
  where a stream is never read; and for agents, whose requests are not counted as calls of one
  model.
- **tokens**: the total that the provider stated; 0 where it states none, as for a stream whose
  usage was not requested.
- **miscounted**: cells whose LLM spans have a number of tokens other than the provider stated.

{model_calls}

## The ways

{ways}
Streams and coroutines are created inside the session and read outside it: in another session,
another task, another thread, each step in a context of its own, abandoned, or closed half-way.
"""


@dataclass
class Row:
    """The counts of one framework in one mode."""

    cells: int = 0
    spans: list[Any] = field(default_factory=list)
    missing: int = 0
    wrong: int = 0
    leaked: int = 0
    counted: bool = False
    """Whether model calls were counted: a stream that is abandoned may make no request."""
    answered: int = 0
    llm_spans: int = 0
    tokens: int = 0
    miscounted: int = 0

    def count(self, stated: Any, counted: Any) -> None:
        """Add the model calls that the provider *stated*, and those *counted* on the spans."""
        self.counted |= bool(stated.calls or counted.calls)
        self.answered += stated.calls
        self.llm_spans += counted.calls
        self.tokens += stated.usage.total
        self.miscounted += counted.usage != stated.usage

    @property
    def unended(self) -> list[Any]:
        """The frameworks' spans that have not ended.

        Read after all tests, because some spans end in a thread. OpenTelemetry's instrumentation of
        botocore, which is on here too, does not end the span of an abandoned stream; that is not
        counted.
        """
        spans = [span for span in self.spans if span.end_time is None]
        return [it for it in spans if not _BY_OPENTELEMETRY(it.instrumentation_scope.name)]


class Results:
    """All rows, by framework and mode."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[str, str], Row] = defaultdict(Row)

    def row(self, name: str, mode: str) -> Row:
        """Return the row of the framework that *name* begins with, as ``mistral_chat`` does."""
        known = (it.name for it in FRAMEWORKS if name.startswith((it.name, it.entry_point)))
        return self.rows[next(known), mode]

    def summary(self) -> str:
        """Return one line with the totals."""
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

    def ids(self) -> Iterator[str]:
        """Yield the lines of the table of ids, as Markdown."""
        yield from _heading("cells", "spans", "missing", "wrong", "leaked", "unended")
        for (framework, mode), row in sorted(self.rows.items()):
            faults = (row.missing, row.wrong, row.leaked, len(row.unended))
            yield _line(framework, mode, row.cells, len(row.spans), *faults)

    def model_calls(self) -> Iterator[str]:
        """Yield the lines of the table of model calls and tokens, as Markdown."""
        yield from _heading("answered", "LLM spans", "tokens", "miscounted")
        for (framework, mode), row in sorted(self.rows.items()):
            if row.counted:
                counts = (row.answered, row.llm_spans, row.tokens, row.miscounted)
                yield _line(framework, mode, *counts)

    def unended(self) -> list[str]:
        """Return the spans that have not ended, by framework, mode and name."""
        return sorted(
            f"{framework} {mode}: {span.name}"
            for (framework, mode), row in self.rows.items()
            for span in row.unended
        )

    def write(self, file: Path, ways: Sequence[str]) -> None:
        """Write docs/landing.md."""
        named = ", ".join(way.replace("_", " ") for way in ways)
        text = _PAGE.format(
            summary=self.summary(),
            recordings="".join(f"{line}\n" for line in RECORDING_RESULTS.page_lines()),
            ids="\n".join(self.ids()),
            model_calls="\n".join(self.model_calls()),
            ways=textwrap.fill(f"A call is made {len(ways)} ways: {named}.", 96),
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _heading(*columns: str) -> Iterator[str]:
    yield _line("framework", "mode", *columns)
    yield "|---|---" + "|--:" * len(columns) + "|"


def _line(*values: object) -> str:
    return "| {} |".format(" | ".join(map(str, values)))


RESULTS = Results()
