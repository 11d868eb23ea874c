"""Counts the spans that were sent and received, for docs/servers.md."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.integration.propagation.collector import Collector

NAMES = ("answer", "ChatCompletion")


@dataclass(frozen=True)
class Row:
    """The counts of one server, started in one way."""

    requests: int
    sent: int
    received: int
    missing: int
    duplicated: int
    wrong: int
    """Spans with ids that are not those of their request."""


class Results:
    """All rows, by server and way."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def add(self, server: str, way: str, requests: int, collector: Collector) -> None:
        """Add a row; assert that the spans of requests 1 to *requests* arrived once each."""
        users = {f"chat-{number}": f"user of chat-{number}" for number in range(1, requests + 1)}
        sent = Counter((name, session) for name in NAMES for session in users)
        once = {span.span_id: span for span in collector.seen}
        arrived = Counter((span.name, span.attributes.get("session.id")) for span in once.values())
        row = Row(
            requests,
            sent.total(),
            len(collector.seen),
            missing=(sent - arrived).total(),
            duplicated=len(collector.seen) - len(once) + (arrived - sent).total(),
            wrong=sum(
                span.attributes.get("user.id") != users.get(span.attributes.get("session.id", ""))
                or span.attributes.get("asked", span.attributes["session.id"])
                != span.attributes["session.id"]
                for span in once.values()
            ),
        )
        self.rows[server, way] = row
        assert row == Row(requests, sent.total(), sent.total(), 0, 0, 0)

    def summary(self) -> str:
        """Return one line with the totals."""
        totals = {name: sum(getattr(row, name) for row in self.rows.values()) for name in _COUNTS}
        return (
            f"{totals['sent']:,} spans sent, {totals['received']:,} received: "
            f"{totals['missing']} missing, "
            f"{totals['duplicated']} duplicated, {totals['wrong']} with wrong ids"
        )

    def write(self, file: Path) -> None:
        """Write docs/servers.md."""
        lines = [
            *_ABOUT,
            "",
            f"**{self.summary()}.**",
            "",
            "| server | started by | requests | sent | received | missing | duplicated | wrong |",
            "|---|---" + "|--:" * len(_COUNTS) + "|",
        ]
        for (server, way), row in self.rows.items():
            numbers = " | ".join(str(getattr(row, name)) for name in _COUNTS)
            lines.append(f"| {server} | {way} | {numbers} |")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([*lines, ""]))


_COUNTS = ("requests", "sent", "received", "missing", "duplicated", "wrong")
_ABOUT = [
    "# Spans of each server",
    "",
    "`nox -s servers` writes this page. It runs real servers on loopback, and a collector that",
    "counts the spans. Each request is in a session of its own and makes two spans, one of the",
    "application and one of a model call. Requests are made until every worker has answered some;",
    "then SIGTERM stops the server. Until then nothing is exported, except by a worker that is",
    "replaced and by a function of AWS Lambda, which is killed instead.",
    "`opentelemetry-instrument` runs an application that does not use clew in its code; the one",
    "line is `instrument_all()` where the application is imported.",
    "",
    "**sent** is two spans for each of the **requests**, and **received** the number that the",
    "collector got. Of those sent, **missing** ones never arrived, **duplicated** ones arrived",
    "more than once, and **wrong** ones carry ids that are not those of their request.",
]
RESULTS = Results()
