"""Which turns of a session are shown, in their order: everywhere, so that their numbers agree.

A session may have ten thousand of them, so each is read as a tuple, and nothing of what was said.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from clew.viewer.insight import Key, TurnScore, mark_of
from clew.viewer.pictures import Mark
from clew.viewer.readers import Reader
from clew.viewer.running import recently, running

# A turn in which nothing was said is shown only where it failed or is still running, or where
# nothing else is.
_TURNS = """
SELECT trace_id, root_id, start_ns, end_ns, errors, spans, said OR errors > 0 AS shown
FROM turn WHERE session_id = :session AND {which}
ORDER BY start_ns, trace_id, root_id
"""


class TurnRow(NamedTuple):
    """A turn in the list of its session."""

    trace: bytes
    root: bytes
    start_ns: int
    end_ns: int
    errors: int
    spans: int
    shown: int
    """Whether something was said in it, or went wrong."""

    @property
    def key(self) -> Key:
        """What names it, whatever its number is."""
        return self[:2]


def turn_rows(reader: Reader, session_id: str) -> list[TurnRow]:
    """Return the turns of a session that are shown, in their order."""
    found = _read(reader, session_id, "(said OR errors > 0 OR end_ns > :recent)")
    silent = running(reader, [row[:4] for row in found if not row.shown])
    rows = [row for row in found if row.shown or row.key in silent]
    return rows or _read(reader, session_id, "1")


def _read(reader: Reader, session_id: str, which: str) -> list[TurnRow]:
    values = {"session": session_id, "recent": recently()}
    return list(map(TurnRow._make, reader.tuples(_TURNS.format(which=which), values)))


def marks_of(rows: Iterable[TurnRow], scores: Mapping[Key, TurnScore]) -> list[Mark]:
    """Return a mark for each turn."""
    return [
        mark_of(number, row.end_ns - row.start_ns, row.errors, scores.get(row.key))
        for number, row in enumerate(rows, 1)
    ]
