"""Keeps the evaluations that spans carry in the table of evaluations, each once."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

from clew.core import counters
from clew.sessions import rules
from clew.sessions.carriers import Carried, carried_by, speaks
from clew.sessions.json_values import first, storable, text
from clew.spans import evaluation_attributes as wire
from clew.store.record import SpanRecord

UNUSABLE = "evaluations in spans that cannot be used"
COLUMNS = (
    "session_id",
    "trace_id",
    "root_id",
    "span_id",
    "name",
    "annotator_kind",
    "identifier",
    "score",
    "label",
    "explanation",
    "metadata",
    "made_ns",
    "version",
)
"""What an evaluation says, and of what: columns of the table `evaluation`."""
_NAMES = (*COLUMNS, "carrier")
_INSERT = (
    f"INSERT INTO evaluation ({', '.join(_NAMES)}, seen) "
    f"VALUES ({', '.join(f':{name}' for name in _NAMES)}, iif(:late, 0, coalesce("
    "(SELECT id FROM span WHERE trace_id = :in_trace AND span_id = :in_span), 0)))"
)
_SAME = """
UPDATE evaluation SET carrier = :carrier WHERE id = (
    SELECT min(id) FROM evaluation
    WHERE carrier IS NULL AND name = :name AND made_ns = :made_ns AND identifier = :identifier
        AND annotator_kind = :annotator_kind AND version = :version AND metadata = :metadata
        AND score IS :score AND label IS :label AND explanation IS :explanation
        AND trace_id IS :trace_id AND span_id IS :span_id
        AND (trace_id IS NOT NULL OR session_id = :session_id)
)
"""
"""Finds what was added directly, and comes back in a span: exported, say, and imported again."""
_counted: set[bytes] = set()
"""Spans whose unusable evaluations were counted: the spans of a trace are read several times."""
_MOST_COUNTED = 10_000


def add_carried(connection: sqlite3.Connection, spans: Sequence[SpanRecord]) -> set[bytes]:
    """Add the evaluations in these spans; return the other traces that new ones are about."""
    others = set[bytes]()
    for span in spans:
        if not speaks(span):
            continue
        found, unusable = carried_by(span)
        for it in found:
            if _add(connection, _row(span, it)) and it.trace_id not in {None, span.trace_id}:
                others.add(it.trace_id or b"")
        if unusable:
            _count(span.trace_id + span.span_id, unusable)
    return others


def _add(connection: sqlite3.Connection, row: Mapping[str, object]) -> bool:
    """Add an evaluation if it is not there; return whether it is new."""
    known = "SELECT 1 FROM evaluation WHERE carrier = :carrier"
    if connection.execute(known, row).fetchone() or connection.execute(_SAME, row).rowcount:
        return False
    connection.execute(_INSERT, row)
    return True


def _row(span: SpanRecord, it: Carried) -> Mapping[str, object]:
    said = it.result
    return {
        "session_id": storable(it.session_id),
        "trace_id": it.trace_id,
        "root_id": it.root_id,
        "span_id": it.span_id,
        "name": said.name,
        "annotator_kind": said.annotator_kind,
        "identifier": said.identifier,
        "score": said.score,
        "label": said.label,
        "explanation": said.explanation,
        "metadata": said.metadata or "{}",
        "made_ns": it.made_ns,
        "version": said.version,
        "carrier": span.trace_id + span.span_id + it.place.encode(),
        "late": span.attributes.get(wire.LATE) is True,
        "in_trace": span.trace_id,
        "in_span": span.span_id,
    }


def _count(key: bytes, unusable: int) -> None:
    if key in _counted:
        return
    if len(_counted) >= _MOST_COUNTED:
        _counted.clear()
    _counted.add(key)
    for _ in range(unusable):
        counters.count(UNUSABLE)


def adopt(
    connection: sqlite3.Connection,
    trace: bytes,
    spans: Sequence[SpanRecord],
    turns: Collection[tuple[str, bytes]],
) -> None:
    """Give evaluations of a trace or a span, that do not say in which session it is, that session.

    *turns* are the sessions and the roots of the trace's turns. A trace in several sessions is in
    none.
    """
    query = "SELECT DISTINCT span_id FROM evaluation WHERE trace_id = ? AND session_id = ''"
    unknown = [span for (span,) in connection.execute(query, (trace,))]
    if not unknown:
        return
    sessions = {session for session, _ in turns if session}
    only = sessions.pop() if len(sessions) == 1 else ""
    by_id = {it.span_id: it for it in spans}
    for span in unknown:
        if session := session_around(span, by_id) or only:
            connection.execute(
                "UPDATE evaluation SET session_id = ? "
                "WHERE trace_id = ? AND session_id = '' AND span_id IS ?",
                (session, trace, span),
            )


def session_around(span: bytes | None, by_id: Mapping[bytes, SpanRecord]) -> str:
    """Return the session of a span, or of the nearest one around it that states any."""
    seen = set[bytes]()
    while span is not None and span in by_id and span not in seen:
        seen.add(span)
        record = by_id[span]
        if session := text(first(record.attributes, rules.SESSION)):
            return session
        span = record.parent_id
    return ""


def delete_carriers(
    connection: sqlite3.Connection, condition: str, parameters: Iterable[object]
) -> None:
    """Delete the spans that were made to carry the evaluations that meet a condition.

    An evaluation in a span of the conversation itself is deleted with that.
    """
    carriers = connection.execute(
        "SELECT DISTINCT substr(carrier, 1, 16), substr(carrier, 17, 8) FROM evaluation "
        f"WHERE carrier IS NOT NULL AND ({condition})",
        tuple(parameters),
    ).fetchall()
    for trace, span in carriers:
        connection.execute(
            "DELETE FROM span WHERE trace_id = ? AND span_id = ? "
            "AND openinference_kind = 'EVALUATOR'",
            (trace, span),
        )
        connection.execute(
            "DELETE FROM silent_trace WHERE trace_id = ? "
            "AND NOT EXISTS (SELECT 1 FROM span WHERE span.trace_id = silent_trace.trace_id)",
            (trace,),
        )
