"""What is different in a store that is a copy of an engine: how far somebody had seen.

Into a copy, spans come in any order, and the evaluations that they carry with them. So the number
of a span does not say what was there before, and how far who says something had seen is found as on
the engine: they had seen the spans that had ended by then. It is found anew whenever there are
other spans. Of those that had seen as much, the one that was made last counts: the numbers of
evaluations begin with the time, as they do on the engine.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from clew.spans import evaluation_attributes as wire
from clew.store.database import transaction
from clew.store.reader import spans_with_ids

KEPT, LEAVING = b"clew_evaluations", b"clew_to_engine.."
"""What `carrier` begins with of an evaluation that is on the engine, and of one on its way there.
Its number follows, and how many spans it had seen."""
IS_COPY = "EXISTS (SELECT 1 FROM progress WHERE name = 'copy')"
"""An SQL condition: the store is a copy of an engine."""
NUMBER_BYTES = 8
MILLION = 10**6
NUMBER_BITS = 20
"""How many bits the numbers of evaluations have after the millisecond."""
_A_MILLISECOND = 2**NUMBER_BITS
_GREATEST = 2**62 - 2**40
"""The greatest number that is made of a time. An export adds 2**62, and others come after it."""
_COLUMNS = "id, session_id, trace_id, made_ns, seen, carrier"
_ABOUT_TRACE = f"SELECT {_COLUMNS} FROM evaluation WHERE trace_id = ?"
_ABOUT_SESSION = (
    f"SELECT {_COLUMNS} FROM evaluation "
    "WHERE session_id = ? AND session_id <> '' AND trace_id IS NULL"
)
_SESSIONS = """
SELECT session_id FROM turn WHERE trace_id = :trace
UNION SELECT session_id FROM evaluation
WHERE carrier >= :trace AND carrier < :end AND trace_id IS NULL
"""
_END = b"\xff"
"""After all that a `carrier` has behind its trace, which is a span, and text."""


class _Said(NamedTuple):
    """An evaluation."""

    id: int
    session_id: str
    trace_id: bytes | None
    made_ns: int
    seen: int
    carrier: bytes | None


class Spans(NamedTuple):
    """The spans of a copy that somebody can have seen who says something."""

    numbers: list[int]
    """Growing."""
    ends: list[int]
    """When they ended; growing, too."""
    counted: int
    """How many are counted on the engine: of a trace, those in turns."""
    is_trace: bool

    @classmethod
    def of(cls, connection: sqlite3.Connection, session: str, trace: bytes | None) -> "Spans":
        """Return those of the traces of a session, or of one of them."""
        query = "SELECT id, end_ns FROM span WHERE openinference_kind IS NOT 'EVALUATOR' "
        if trace is None:
            query += "AND trace_id IN (SELECT trace_id FROM turn WHERE session_id = ?)"
            found = connection.execute(query, (session,)).fetchall()
            counted = len(found)
        else:
            found = connection.execute(f"{query} AND trace_id = ?", (trace,)).fetchall()
            query = "SELECT coalesce(sum(spans), 0) FROM turn WHERE session_id = ? AND trace_id = ?"
            (counted,) = connection.execute(query, (session, trace)).fetchone()
        numbers, ends = (sorted(it) for it in (zip(*found, strict=True) if found else ((), ())))
        return cls(numbers, ends, counted, is_trace=trace is not None)

    def last_of(self, seen: int) -> int:
        """Return the number of the last span of so many as were *seen* on the engine."""
        if not self.numbers or not seen:
            return 0
        return self.numbers[-1] if seen >= self.counted else self.numbers[seen - 1]

    def number_up_to(self, last: int, of_session: int) -> int:
        """Return how many spans there are up to the one with the number *last*.

        If that is all of them, of a session it is as many as there are on the engine: the copy may
        be of a part of it.
        """
        if not self.numbers or last >= self.numbers[-1]:
            return self.counted if self.is_trace else max(self.counted, of_session)
        return min(bisect_right(self.numbers, last), self.counted)

    def last_before(self, number: int) -> int:
        """Return the number of the last span up to the one with this *number*."""
        position = bisect_right(self.numbers, number)
        return self.numbers[position - 1] if position else 0


def mark(connection: sqlite3.Connection) -> None:
    """Note that a store is a copy."""
    if is_copy(connection):
        return
    with transaction(connection):
        connection.execute("INSERT OR IGNORE INTO progress VALUES ('copy', 1)")
        # What is there already was put in order as elsewhere: it is summarised anew.
        connection.execute("UPDATE progress SET value = 0 WHERE name = 'rules'")


def is_copy(connection: sqlite3.Connection) -> bool:
    """Whether a store is a copy of an engine."""
    return bool(connection.execute(f"SELECT {IS_COPY}").fetchone()[0])


def number_of(made_ns: int) -> int:
    """Return the number of an evaluation that was made then, if no other has it."""
    millisecond, rest = divmod(max(made_ns, 0), MILLION)
    return max(1, min(millisecond << NUMBER_BITS | rest, _GREATEST))


def put_in_order(
    connection: sqlite3.Connection, traces: Iterable[bytes], sessions: Iterable[str]
) -> None:
    """Find anew how far had seen who says something about these *traces* and *sessions*.

    To the sessions, those are added that are in these traces, or that something in them is about.
    """
    wanted = set(sessions)
    found: list[_Said] = []
    for trace in set(traces):
        found += map(_Said._make, connection.execute(_ABOUT_TRACE, (trace,)))
        given = {"trace": trace, "end": trace + _END * 9}
        wanted.update(session for (session,) in connection.execute(_SESSIONS, given))
    for session in wanted:
        found += map(_Said._make, connection.execute(_ABOUT_SESSION, (session,)))
    spans: dict[tuple[str, bytes | None], Spans] = {}
    for it in found:
        key = it.session_id, it.trace_id
        if key not in spans:
            spans[key] = Spans.of(connection, *key)
        _put_in_order(connection, it, spans[key])


def _put_in_order(connection: sqlite3.Connection, it: _Said, spans: Spans) -> None:
    if it.carrier is not None and it.carrier.startswith(LEAVING):
        return  # Whoever sends it has read it, and changes it then.
    if spans.numbers:
        seen = _seen(connection, it, spans)
        if seen != it.seen:
            connection.execute("UPDATE evaluation SET seen = ? WHERE id = ?", (seen, it.id))
    if it.carrier is not None and not it.carrier.startswith(KEPT):
        _number(connection, it)


def _seen(connection: sqlite3.Connection, it: _Said, spans: Spans) -> int:
    """Return the number of the last span that was seen, in the order of the copy."""
    if it.carrier is None:  # It was said here. Beside others, only spans of its target count.
        return spans.last_before(it.seen)
    if it.carrier.startswith(KEPT):
        seen = int.from_bytes(it.carrier[-NUMBER_BYTES:])
    elif not it.seen and _is_late(connection, it.carrier):
        seen = 0
    else:
        seen = bisect_right(spans.ends, it.made_ns)
    return spans.last_of(seen)


def _is_late(connection: sqlite3.Connection, carrier: bytes) -> bool:
    """Whether what is carried never counted, as something newer was there before it."""
    query = "SELECT id FROM span WHERE trace_id = ? AND span_id = ?"
    ids = [it for (it,) in connection.execute(query, (carrier[:16], carrier[16:24]))]
    return any(
        span.attributes.get(wire.LATE) is True for _, span in spans_with_ids(connection, ids)
    )


def _number(connection: sqlite3.Connection, it: _Said) -> None:
    """Give it the number of its time; if that is given already, one after its millisecond's."""
    number = number_of(it.made_ns)
    if it.id == number:
        return
    target, end = number, number + _A_MILLISECOND
    if connection.execute("SELECT 1 FROM evaluation WHERE id = ?", (number,)).fetchone():
        if number < it.id < end:
            return
        query = "SELECT max(id) + 1 FROM evaluation WHERE id >= ? AND id < ?"
        (target,) = connection.execute(query, (number, end)).fetchone()
    connection.execute("UPDATE OR IGNORE evaluation SET id = ? WHERE id = ?", (target, it.id))
