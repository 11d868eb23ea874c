"""Deletes a session or a user from an engine, and from what clew keeps of it on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from clew.sessions.deletion import Deleted
from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine, Erases
from clew.sessions.engines.errors import UnsupportedError
from clew.sessions.engines.parts import SESSION, session_part, trace_part
from clew.sessions.engines.schema import TABLES
from clew.sessions.store import SessionStore


class Local(NamedTuple):
    """The files on this machine with what clew knows of an engine. Either may be missing."""

    copy: Path
    """The SQLite store into which spans are copied."""
    tables: Path
    """The DuckDB file with clew's tables, as long as they are not on the engine."""


def forget(source: Engine, tables: Engine, column: str, value: str) -> Deleted:
    """Delete the traces in which *column* of a span has this *value*; return how much that was."""
    of_value = f"SELECT DISTINCT trace_id FROM spans WHERE {column} = ?"
    traces = [trace for (trace,) in rows(source, of_value, (value,))]
    others = rows(
        source,
        f"SELECT DISTINCT trace_id, {column} FROM spans WHERE trace_id IN ({of_value}) "
        f"AND {column} <> ?",
        (value, value),
    )
    if others:
        trace, other = others[0]
        message = (
            f"the trace {trace} is also of {column.removesuffix('_id')} {other!r}, and "
            f"{source.name} keeps or loses a trace as a whole; delete its spans there yourself"
        )
        raise UnsupportedError(message)
    counted = rows(
        source, f"SELECT count(*) AS n FROM spans WHERE trace_id IN ({of_value})", (value,)
    )
    parts = _parts(tables, traces)
    if column == "session_id":
        parts.append(session_part(value))
    # What is left of these is summarised anew: nothing may be known of their traces.
    known = [*traces, *_traces(tables, parts)]
    if isinstance(tables, Erases):
        tables.erase()
    if traces:
        source.delete_spans(traces)
    _forget_evaluations(source, tables, traces, parts)
    if column == "user_id":
        by_user = "annotator_kind = 'HUMAN' AND identifier = ? AND identifier <> ''"
        query = f"SELECT id FROM clew_evaluations WHERE {by_user}"
        tables.delete("clew_evaluations", "id", [it for (it,) in rows(tables, query, (value,))])
    for table, columns in TABLES.items():
        if any(it.name == "part" for it in columns):
            tables.delete(table, "part", parts)
    tables.delete("clew_trace", "trace_id", known)
    return Deleted(int(counted[0][0]), len(traces))


def forget_locally(local: Local, column: str, value: str, *, is_shared: bool) -> None:
    """Delete a session or a user from what is left of an engine in files on this machine."""
    if local.copy.exists():
        with SessionStore(local.copy) as copy:
            copy.forget(**{column.removesuffix("_id"): value})
    if is_shared:  # This file is of the time before, and nothing is read from it.
        local.tables.unlink(missing_ok=True)
        local.tables.with_name(f"{local.tables.name}.wal").unlink(missing_ok=True)


def _forget_evaluations(
    source: Engine, tables: Engine, traces: Sequence[str], parts: Sequence[str]
) -> None:
    """Delete what was said about *traces*, and about those sessions of *parts* that are gone.

    Of the others, evaluators have seen more than there is now: they are to look again.
    """
    tables.delete("clew_evaluations", "trace_id", traces)
    sessions = [it.removeprefix(SESSION) for it in parts if it.startswith(SESSION)]
    if not sessions:
        return
    marks = ", ".join("?" * len(sessions))
    left = f"SELECT DISTINCT session_id FROM spans WHERE session_id IN ({marks})"
    there = [session for (session,) in rows(source, left, sessions)]
    tables.delete("clew_evaluations", "session_id", sorted({*sessions} - {*there}))
    tables.delete("clew_evaluation_errors", "session_id", sessions)
    if not there:
        return
    names = [it.name for it in TABLES["clew_evaluations"]]
    query = (
        f"SELECT {', '.join(names)} FROM clew_evaluations WHERE trace_id IS NULL "
        f"AND annotator_kind <> 'HUMAN' AND session_id IN ({', '.join('?' * len(there))})"
    )
    said = [dict(zip(names, row, strict=True)) for row in rows(tables, query, there)]
    tables.delete("clew_evaluations", "id", [it["id"] for it in said])
    if said:
        tables.insert("clew_evaluations", [{**it, "seen": 0} for it in said])


def _parts(tables: Engine, traces: Sequence[str]) -> list[str]:
    found = _related(tables, "part", "trace_id", traces)
    return [*found, *map(trace_part, traces)]


def _traces(tables: Engine, parts: Sequence[str]) -> list[str]:
    return _related(tables, "trace_id", "part", parts)


def _related(tables: Engine, wanted: str, column: str, values: Sequence[str]) -> list[str]:
    if not values:
        return []
    marks = ", ".join("?" * len(values))
    query = f"SELECT DISTINCT {wanted} FROM part_trace WHERE {column} IN ({marks})"
    return [it for (it,) in rows(tables, query, values)]
