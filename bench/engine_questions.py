"""Asks one engine its questions, in a process of its own: ``python -m bench.engine_questions``.

Each question is asked by clew, and as somebody who knows the engine and the tables would write it
by hand. Both must have the same answer. The first time in the process is the cold one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from math import isclose
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from bench.pairing import turns
from clew.sessions.engines.changes import changed_days
from clew.sessions.engines.engine import Window
from clew.sessions.engines.location import connect
from clew.sessions.engines.store import EngineStore

SESSION = "session-0000007"
DAY = (20_254 * 86_400 * 10**9, 20_255 * 86_400 * 10**9)
"""2025-06-15, on which the first sessions begin."""


class Question(NamedTuple):
    """One question, as clew is asked, and by hand on the engines on which it can be compared."""

    name: str
    is_scan: bool
    """Whether everything has to be read to answer it, so that it takes longer in a larger store."""
    ask: Callable[[EngineStore], Iterable[Sequence[Any]]]
    by_hand: dict[str, str]


def _sql(text: str) -> Callable[[EngineStore], Iterable[Sequence[Any]]]:
    return lambda store: [tuple(row.values()) for row in store.sql(text)]


_CURRENT = (
    "(part, batch) IN (SELECT part, argMax(batch, (made_ns, batch)) FROM clew_part GROUP BY part)"
)
_LLM = "SpanAttributes['openinference.span.kind'] = 'LLM'"
_TOKENS = "toInt64OrNull(SpanAttributes['llm.token_count.total'])"
_ONCE = "LIMIT 1 BY TraceId, SpanId"
QUESTIONS = (
    Question(
        "the turns of one session",
        is_scan=False,
        ask=_sql(
            "SELECT trace_id, said, total_tokens, cost FROM turns "
            f"WHERE session_id = '{SESSION}' ORDER BY start_ns, trace_id"
        ),
        by_hand={
            "duckdb": "SELECT trace_id, said, total_tokens, cost FROM clew_turn "
            f"WHERE session_id = '{SESSION}' ORDER BY start_ns, trace_id",
            "clickhouse": "SELECT trace_id, said, total_tokens, cost FROM clew_turn "
            f"WHERE part = 'session:{SESSION}' AND batch = (SELECT argMax(batch, (made_ns, batch)) "
            f"FROM clew_part WHERE part = 'session:{SESSION}') ORDER BY start_ns, trace_id",
        },
    ),
    Question(
        "the 100 most expensive sessions",
        is_scan=False,
        ask=_sql(
            "SELECT session_id, cost FROM sessions WHERE cost IS NOT NULL "
            "ORDER BY cost DESC, session_id LIMIT 100"
        ),
        by_hand={
            "duckdb": "SELECT session_id, cost FROM clew_session WHERE cost IS NOT NULL "
            "ORDER BY cost DESC, session_id LIMIT 100",
            "clickhouse": f"SELECT session_id, cost FROM clew_session WHERE {_CURRENT} "
            "AND cost IS NOT NULL ORDER BY cost DESC, session_id LIMIT 100",
        },
    ),
    Question(
        "the 100 worst sessions, whole",
        is_scan=False,
        ask=lambda store: [(it.id,) for it in store.list(order_by="failure", limit=100)],
        by_hand={},
    ),
    Question(
        "one session with its messages",
        is_scan=False,
        ask=lambda store: [(it.input, it.output) for it in store.get(SESSION).turns],
        by_hand={},
    ),
    Question(
        "sessions by what was said",
        is_scan=True,
        ask=lambda store: [(it.id,) for it in store.list(text="bicycle saddle refund")],
        by_hand={},
    ),
    Question(
        "all users",
        is_scan=True,
        ask=lambda store: [tuple(row.values()) for row in store.users()],
        by_hand={
            it: "SELECT user_id, count(*), sum(turns), min(first_ns), max(last_ns), "
            "sum(total_tokens), sum(cost), sum(errors), sum(failed_turns), "
            f"sum(latency_ns) / 1e9 / sum(turns) FROM clew_user_session {where} GROUP BY user_id "
            "ORDER BY max(last_ns) DESC, user_id"
            for it, where in (("duckdb", ""), ("clickhouse", f"WHERE {_CURRENT}"))
        },
    ),
    Question(
        "the figures of each day",
        is_scan=True,
        ask=lambda store: [tuple(row.values()) for row in store.ask("days")],
        by_hand={
            it: "SELECT first_ns - first_ns % 86400000000000 AS day, count(*), "
            "count(DISTINCT user_id), sum(turns), sum(total_tokens), sum(cost), "
            f"sum(failed_turns) FROM clew_session {where} GROUP BY day ORDER BY day"
            for it, where in (("duckdb", ""), ("clickhouse", f"WHERE {_CURRENT}"))
        },
    ),
    Question(
        "tokens of each model, over spans",
        is_scan=True,
        ask=_sql(
            "SELECT model, count(*) AS calls, sum(total_tokens) AS tokens FROM spans "
            "WHERE kind = 'LLM' GROUP BY model ORDER BY model"
        ),
        by_hand={
            "duckdb": "SELECT model, count(*), sum(total_tokens) FROM (SELECT DISTINCT ON "
            "(trace_id, span_id) model, total_tokens FROM {spans} WHERE kind = 'LLM') "
            "GROUP BY model ORDER BY model",
            "clickhouse": "SELECT nullIf(model, '') AS model, count(*), sum(tokens) FROM (SELECT "
            f"SpanAttributes['llm.model_name'] AS model, {_TOKENS} AS tokens FROM {{spans}} "
            f"WHERE {_LLM} {_ONCE}) GROUP BY model ORDER BY model",
            "spark": "SELECT model, count(*), sum(total_tokens) FROM (SELECT trace_id, span_id, "
            "max(model) AS model, max(total_tokens) AS total_tokens FROM {spans} "
            "WHERE kind = 'LLM' GROUP BY trace_id, span_id) GROUP BY model ORDER BY model",
        },
    ),
    Question(
        "errors by name on one day, over spans",
        is_scan=False,
        ask=_sql(
            "SELECT name, count(*) AS spans FROM spans WHERE status = 'ERROR' "
            f"AND start_ns >= {DAY[0]} AND start_ns < {DAY[1]} GROUP BY name ORDER BY name"
        ),
        by_hand={
            "duckdb": "SELECT name, count(DISTINCT (trace_id, span_id)) FROM {spans} "
            "WHERE day = '2025-06-15' AND status = 'ERROR' GROUP BY name ORDER BY name",
            "clickhouse": "SELECT SpanName, uniqExact(TraceId, SpanId) FROM {spans} WHERE "
            "Timestamp >= toDateTime64('2025-06-15', 9, 'UTC') "
            "AND Timestamp < toDateTime64('2025-06-16', 9, 'UTC') "
            "AND StatusCode IN ('Error', 'STATUS_CODE_ERROR') GROUP BY SpanName ORDER BY SpanName",
            "spark": "SELECT name, count(DISTINCT trace_id, span_id) FROM {spans} "
            "WHERE day = '2025-06-15' AND status = 'ERROR' GROUP BY name ORDER BY name",
        },
    ),
    Question(
        "the spans of one session",
        is_scan=False,
        ask=_sql(
            f"SELECT trace_id, count(*) AS spans FROM spans WHERE session_id = '{SESSION}' "
            "GROUP BY trace_id ORDER BY trace_id"
        ),
        by_hand={
            "duckdb": "SELECT trace_id, count(DISTINCT span_id) FROM {spans} "
            f"WHERE session_id = '{SESSION}' GROUP BY trace_id ORDER BY trace_id",
            "clickhouse": "SELECT TraceId, uniqExact(SpanId) FROM {spans} WHERE "
            f"SpanAttributes['session.id'] = '{SESSION}' GROUP BY TraceId ORDER BY TraceId",
            "spark": "SELECT trace_id, count(DISTINCT span_id) FROM {spans} "
            f"WHERE session_id = '{SESSION}' GROUP BY trace_id ORDER BY trace_id",
        },
    ),
)


def measure(
    url: str, folder: Path, rounds: int, dialect: str, *, only_spans: bool
) -> dict[str, Any]:
    """Return the seconds of each question: by clew and by hand, cold and warm."""
    place = connect(url, folder)
    spans = {
        "duckdb": f"read_parquet('{url.partition(':')[2]}/**/*.parquet')",
        "clickhouse": "otel_traces",
        "spark": f"parquet.`{url.partition('path=')[2]}`",
    }[dialect]
    found: dict[str, Any] = {}
    with closing(place.source), closing(place.tables):
        store = EngineStore(place.source, place.tables)
        begun = perf_counter()
        changed_days(place.source, place.tables, Window())
        found["what has changed"] = {"is_scan": True, "clew": [perf_counter() - begun]}
        store.catch_up()
        for question in QUESTIONS:
            if only_spans and "spans" not in question.name:
                continue
            ways = {"clew": lambda question=question: list(question.ask(store))}
            if dialect in question.by_hand:
                engine = place.source if "{spans}" in question.by_hand[dialect] else place.tables
                text = question.by_hand[dialect].format(spans=spans)
                ways["by hand"] = lambda engine=engine, text=text: engine.query(text).rows
            found[question.name] = {"is_scan": question.is_scan, **_times(question, ways, rounds)}
    return found


def _times(
    question: Question, ways: dict[str, Callable[[], Sequence[Sequence[Any]]]], rounds: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {way: [] for way in ways}
    answers = {}
    for order in [list(ways), *turns(ways, rounds)]:
        for way in order:
            begun = perf_counter()
            answers[way] = ways[way]()
            times[way].append(perf_counter() - begun)
    if "by hand" in ways:
        ours, theirs = answers["clew"], answers["by hand"]
        if not ours or not _is_same(ours, theirs):
            message = f"{question.name}: clew says {ours[:3]}, by hand it is {theirs[:3]}"
            raise AssertionError(message)
    return times


def _is_same(ours: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]]) -> bool:
    """Whether all values are equal, floats to nine digits."""
    if len(ours) != len(theirs):
        return False
    pairs = (pair for rows in zip(ours, theirs, strict=True) for pair in zip(*rows, strict=True))
    return all(
        isclose(one, other, rel_tol=1e-9) if isinstance(one, float) else one == other
        for one, other in pairs
    )


def main() -> int:
    """Write the seconds as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("dialect", choices=["duckdb", "clickhouse", "spark"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-spans", action="store_true")
    options = parser.parse_args()
    found = measure(
        options.url,
        options.folder,
        options.rounds,
        options.dialect,
        only_spans=options.only_spans,
    )
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
