"""How long a metric over 10,000 sessions takes: CPU of one core, from the store to the ranking.

Half of the sessions were judged. They are of 3,000 users, a few of whom have most of them.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from bench.pairing import Estimate, Verdict, estimate
from clew import evaluations, sessions
from clew.evaluations import Evaluation
from clew.evaluations.metrics import Metric, figures
from clew.sessions.store import SessionStore
from clew.store.database import connect
from clew.store.record import OK, Scope, SpanRecord
from clew.store.writer import Writer

ROUNDS = 5
_SESSIONS, _USERS = 10_000, 3000
_LIMIT = 1.0
_SECOND = 10**9
_ASKED: tuple[tuple[str, str, str | None], ...] = (
    ("mean", "avg(cost)", None),
    ("mean", "avg(cost)", "user"),
    ("mean", "avg(cost)", "day"),
    ("share", "avg(latency_p95 > 5)", "metadata.release"),
    ("ratio", "sum(cost) / sum(resolved)", None),
    ("ratio", "sum(cost) / sum(resolved)", "user"),
    ("ratio", "sum(cost) / sum(resolved)", "session"),
)


def measure(rounds: int) -> dict[str, Any]:
    """Compute each metric in a store of 10,000 sessions."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.db"
        _make(path)
        with sessions.open(path) as store:
            _judge(store)
            rows = []
            for name, expression, by in _ASKED:
                metric = Metric(name, expression)
                figures(store, metric, by=by)
                seconds = [[_seconds(store, metric, by)] for _ in range(rounds)]
                rows.append((f"{expression}, by {by}" if by else expression, estimate(seconds)))
    slowest: Estimate = max((value for _, value in rows), key=lambda it: it.median)
    return {"rows": rows, "verdicts": [Verdict("the slowest, in seconds", slowest, _LIMIT)]}


def report(found: dict[str, Any]) -> str:
    """Return the table and the verdict."""
    lines = ["| metric over 10,000 sessions | CPU s |", "|---|---|"]
    lines += [f"| {name} | {value.text(3)} |" for name, value in found["rows"]]
    return "\n".join([*lines, "", *(it.text() for it in found["verdicts"])])


def _seconds(store: SessionStore, metric: Metric, by: str | None) -> float:
    begin = process_time()
    figures(store, metric, by=by)
    return process_time() - begin


def _make(path: Path) -> None:
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add(list(_spans()))


def _spans() -> Iterator[SpanRecord]:
    random = Random(1)
    for number in range(_SESSIONS):
        start = (1_750_000_000 + number * 300) * _SECOND
        yield SpanRecord(
            trace_id=random.randbytes(16),
            span_id=random.randbytes(8),
            parent_id=None,
            name="ChatCompletion",
            start=start,
            end=start + random.randint(1, 10) * _SECOND,
            status=OK,
            scope=Scope("openinference.instrumentation.openai"),
            attributes={
                "session.id": f"session-{number}",
                "user.id": f"user-{int(random.paretovariate(0.8)) % _USERS}",
                "openinference.span.kind": "LLM",
                "llm.model_name": random.choice(["a", "b"]),
                "llm.token_count.total": random.randint(1000, 2000),
                "llm.cost.total": random.lognormvariate(-5, 1),
                "metadata": json.dumps({"release": random.choice(["1", "2"])}),
                "input.value": "Where is my order?",
                "output.value": "It was sent yesterday.",
            },
        )


def _judge(store: SessionStore) -> None:
    store.catch_up()
    random = Random(2)
    judged = (
        Evaluation("resolved", score=random.random() < 0.7, session_id=f"session-{number}")
        for number in range(0, _SESSIONS, 2)
    )
    evaluations.add(store, *judged)
