"""Adds evaluations to clew's tables on an engine, where all who read it see them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clew.core.errors import EvaluationError
from clew.sessions.engines.evaluation_rows import insert

if TYPE_CHECKING:
    from clew.sessions.engines.store import EngineStore

_SEEN = "SELECT last_span AS seen FROM session WHERE session_id = ?"
_SEEN_OF_TRACE = "SELECT sum(spans) AS seen FROM turn WHERE session_id = ? AND trace_id = ?"


def check_shared(store: "EngineStore", what: str) -> None:
    """Raise `EvaluationError` if *what* is to be done cannot be, as clew's tables are not there."""
    if not store.is_shared:
        message = f"{what} needs clew's tables on the engine: {why_not_shared(str(store.path))}"
        raise EvaluationError(message)


def why_not_shared(url: str) -> str:
    """Return why evaluations cannot be kept on the engine at *url*, and what to do."""
    scheme = url.partition(":")[0]
    if scheme == "parquet":
        return f"{url} are only files, which can keep none"
    if scheme == "sc":
        return f"{url} is only read: Spark keeps no tables of clew's"
    return f"make them with: clew engines init --store {url}"


def add(store: "EngineStore", rows: Sequence[dict[str, Any]]) -> list[int]:
    """Add rows of evaluations; return their numbers. Where `seen` is None, it is all there is."""
    check_shared(store, "adding evaluations")
    for row in rows:
        if row["seen"] is None:
            row["seen"] = _seen_now(store, row["session_id"], row["trace_id"]) or 0
    return insert(store.tables, rows)


def _seen_now(store: "EngineStore", session_id: str, trace_id: str | None) -> int | None:
    if trace_id is None:
        found = store.sql(_SEEN, (session_id,))
    else:
        found = store.sql(_SEEN_OF_TRACE, (session_id, trace_id))
    return found[0]["seen"] if found else None
