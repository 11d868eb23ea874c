"""Spans in the flat columns that ``clew export --to parquet`` writes, as the view `spans`."""

from collections.abc import Collection, Mapping

from clew.sessions.engines.errors import EngineError

NEEDED = ("trace_id", "span_id", "name", "start", "end", "attributes")
"""Columns without which spans cannot be read. Any other may be missing, and is NULL then."""
_TEXTS = (
    "parent_id",
    "session_id",
    "user_id",
    "kind",
    "status_message",
    "model",
    "provider",
    "service",
    "scope",
    "events",
    "links",
    "resource",
)
_NUMBERS = {
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "total_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "cost": "DOUBLE",
}


def check_columns(found: Collection[str], label: str) -> None:
    """Raise an error if there are no spans in these columns."""
    missing = [name for name in NEEDED if name not in found]
    if missing:
        what = f"it has no column {', '.join(missing)}, only {', '.join(sorted(found))}"
        message = (
            f"there are no spans in {label}: {what if found else 'nothing is there'}; "
            "clew export --to parquet writes what is needed"
        )
        raise EngineError(message)


def columns(found: Collection[str], times: Mapping[str, str], text: str = "VARCHAR") -> list[str]:
    """Return what to select; *times* are expressions for ``start_ns`` and ``end_ns``.

    *text* is the engine's type of a text.
    """
    # As they are, so that a condition on them leaves out what need not be read.
    chosen = ["trace_id", "span_id"]
    chosen += ["coalesce(name, '') AS name", "coalesce(attributes, '{}') AS attributes"]
    chosen += [f"{expression} AS {name}" for name, expression in times.items()]
    seconds = f"({times['end_ns']} - {times['start_ns']}) / 1e9"
    chosen.append(f"CAST({seconds} AS DOUBLE) AS seconds")
    for name in _TEXTS:
        chosen.append(f"nullif({name}, '') AS {name}" if name in found else _null(name, text))
    for name, kind in _NUMBERS.items():
        given = f"CAST({name} AS {kind}) AS {name}"
        chosen.append(given if name in found else _null(name, kind))
    for name, default in (("status", "UNSET"), ("span_kind", "INTERNAL")):
        chosen.append(
            f"coalesce({name}, '{default}') AS {name}"
            if name in found
            else f"'{default}' AS {name}"
        )
    return chosen


def _null(name: str, kind: str) -> str:
    return f"CAST(NULL AS {kind}) AS {name}"
