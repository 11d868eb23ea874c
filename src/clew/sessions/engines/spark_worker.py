"""What Spark's workers run of clew, which has to be installed there, without Spark's client."""

import json
from typing import Any

import pyarrow as pa

from clew.sessions.engines import records
from clew.sessions.engines.summary import RULES, summarise

SCHEMA = "part string, spans bigint, rules bigint, rows string"
"""What they return of each part: of how many spans, and by which rules, its rows were made."""


def summarise_typed(table: Any) -> Any:
    """Summarise one part, on a worker: its spans have the types that were recorded."""
    return _summarised(table, has_types=True)


def summarise_text(table: Any) -> Any:
    """Summarise one part, on a worker: its attributes are text."""
    return _summarised(table, has_types=False)


def _summarised(table: Any, *, has_types: bool) -> Any:
    part = table.column(0)[0].as_py()
    rows = zip(*(it.to_pylist() for it in table.columns[1:]), strict=True)
    spans = list(records.records_of(list(rows), has_types=has_types))
    found = summarise([part], spans)[part]
    return pa.table(
        {
            "part": [part],
            "spans": pa.array([len(spans)], pa.int64()),
            "rules": pa.array([RULES], pa.int64()),
            "rows": [json.dumps(found)],
        }
    )
