"""Summarises sessions where their spans are: on the workers of a Spark cluster.

What the workers return is checked: a part without a row, or one that was made of too few spans, is
an error.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql.connect.functions import count
from pyspark.sql.connect.functions import max as greatest
from pyspark.sql.connect.functions import min as least

from clew.sessions.engines import records
from clew.sessions.engines.engine import Window
from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.spark_worker import SCHEMA, summarise_text, summarise_typed
from clew.sessions.engines.summary import RULES, Rows

Parts = Mapping[str, set[str]]
"""The traces of each part."""
_PARTS_AT_ONCE = 200


def summaries(
    session: Any, spans_sql: Callable[[Window], str], parts: Parts, *, has_types: bool
) -> Iterator[tuple[Parts, Mapping[str, Rows]]]:
    """Yield *parts*, some at a time, with the rows that the workers have made of each."""
    pairs = session.createDataFrame(pairs_table(parts))
    counted = _counted(session, spans_sql, pairs)
    # The heavy columns are read of the time only in which these traces were.
    window = Window(
        min((it["first"] for it in counted), default=0),
        max((it["last"] for it in counted), default=0) + 1,
    )
    function = summarise_typed if has_types else summarise_text
    found = grouped(session, spans_sql(window), pairs, function, SCHEMA)
    yield from _checked(found, parts, {it["part"]: it["spans"] for it in counted})


def grouped(
    session: Any, spans: str, pairs: Any, function: Callable[[Any], Any], schema: str
) -> Iterator[Sequence[Any]]:
    """Yield what *function* returns on the workers, given an Arrow table of each part of *pairs*.

    Its columns are the part, and those of its spans that a SpanRecord is made of.
    """
    stored = session.sql(f"SELECT {', '.join(records.NAMES)} FROM ({spans}) AS spans")
    joined = pairs.join(stored, "trace_id").select("part", *records.NAMES)
    rows: Iterator[Sequence[Any]] = (
        joined.groupBy("part").applyInArrow(function, schema).toLocalIterator()
    )
    return rows


def _counted(session: Any, spans_sql: Callable[[Window], str], pairs: Any) -> Any:
    """Return of each part how many spans it has, and when the first and the last began."""
    stored = session.sql(f"SELECT trace_id, start_ns FROM ({spans_sql(Window())}) AS spans")
    figures = (
        count("trace_id").alias("spans"),
        least("start_ns").alias("first"),
        greatest("start_ns").alias("last"),
    )
    return pairs.join(stored, "trace_id").groupBy("part").agg(*figures).toArrow().to_pylist()


def _checked(
    found: Iterable[Any], parts: Parts, expected: Mapping[str, int]
) -> Iterator[tuple[Parts, Mapping[str, Rows]]]:
    """Yield what the workers have *found*, when it is of all spans that were there before."""
    left = dict(parts)
    some: dict[str, Rows] = {}
    for part, spans, rules, rows in found:
        if rules != RULES:
            message = "Spark's workers have another release of clew than this process; install this"
            raise EngineError(message)
        if spans < expected.get(part, 0):
            message = f"Spark's workers have read {spans} of {expected[part]} spans; ask again"
            raise EngineError(message)
        some[part] = json.loads(rows)
        if len(some) == _PARTS_AT_ONCE:
            yield {it: left.pop(it) for it in some}, some
            some = {}
    if lost := [it for it in left if it in expected and it not in some]:
        message = f"Spark's workers have returned nothing of {len(lost)} sessions; ask again"
        raise EngineError(message)
    if left:  # The spans of those that are not in *some* are no longer there.
        yield left, some


def pairs_table(parts: Parts) -> Any:
    """Return *parts* as an Arrow table with a row for each of their traces."""
    rows = [(part, trace) for part, traces in parts.items() for trace in sorted(traces)]
    columns = zip(*rows, strict=True) if rows else ([], [])
    return pa.table(
        dict(zip(("part", "trace_id"), map(list, columns), strict=True)),
        schema=pa.schema([("part", pa.string()), ("trace_id", pa.string())]),
    )
