"""Scores the sessions whose turns have changed: friction, failure, and the turns that are bad."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeAlias

from clew.core.containment import contain
from clew.sessions.model import BadTurn, Finding, Turn
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.scores import Break, ConversationScores, TurnScores, scores
from clew.sessions.words import turns_of
from clew.store.database import transaction
from clew.store.encoding import is_utf8
from clew.store.reader import spans_of_trace

SIGNALS = 4
"""The release of the signals and weights. All sessions are scored anew after it has changed."""
TURN_ORDER = "start_ns, trace_id, root_id"
"""The order of a session's turns, whichever of them was stored first."""
SHOWN = "(said OR errors > 0)"
"""Which rows of the table `turn` are turns of the conversation."""
KnownTurns: TypeAlias = Mapping[bytes, Sequence[Turn]]
"""The turns of traces that have been found already."""
_NONE: KnownTurns = MappingProxyType({})
_AT_ONCE = 50
_COLUMNS = ("friction", "failure", "first_bad_turn", "first_bad", "worst_turn", "worst")
_UPDATE = (
    f"UPDATE session SET scored = 1, {', '.join(f'{name} = ?' for name in _COLUMNS)} "
    "WHERE session_id = ? AND last_span = ? AND spans = ? AND scored = 0"
)


def use_current_signals(connection: sqlite3.Connection) -> None:
    """Forget all scores that were made by other signals than these."""
    query = "SELECT value FROM progress WHERE name = 'signals'"
    if connection.execute(query).fetchone() == (SIGNALS,):
        return
    with transaction(connection):
        if connection.execute(query).fetchone() == (SIGNALS,):
            return  # Another process has done it meanwhile.
        connection.execute("DELETE FROM turn_score")
        connection.execute(
            "UPDATE session SET scored = 0, "
            f"{', '.join(f'{name} = NULL' for name in _COLUMNS)} WHERE scored = 1"
        )
        connection.execute("UPDATE progress SET value = ? WHERE name = 'signals'", (SIGNALS,))


def are_scored(connection: sqlite3.Connection) -> bool:
    """Whether there is no session that is not scored."""
    query = (
        "SELECT NOT EXISTS (SELECT 1 FROM session WHERE scored = 0) "
        "AND (SELECT value FROM progress WHERE name = 'signals') = ?"
    )
    return bool(connection.execute(query, (SIGNALS,)).fetchone()[0])


def score_all(
    connection: sqlite3.Connection, seconds: float = float("inf"), known: KnownTurns = _NONE
) -> bool:
    """Score the sessions that are not, the last ones first; return whether none is left.

    The turns of traces that are *known* are not read again.
    """
    until = monotonic() + seconds
    use_current_signals(connection)
    while True:
        query = "SELECT session_id FROM session WHERE scored = 0 ORDER BY last_ns DESC LIMIT ?"
        waiting = [session for (session,) in connection.execute(query, (_AT_ONCE,))]
        if not waiting:
            return True
        for session in waiting:
            score_sessions(connection, [session], known)
            if monotonic() > until:
                return are_scored(connection)


def score_sessions(
    connection: sqlite3.Connection, sessions: Iterable[str], known: KnownTurns = _NONE
) -> None:
    """Score those of these sessions that are not scored."""
    for session in sessions:
        state = connection.execute(
            "SELECT last_span, spans FROM session WHERE session_id = ? AND scored = 0", (session,)
        ).fetchone()
        if state is None:
            continue
        # Reading takes longest, and nobody has to wait for it. If the session changes meanwhile,
        # its row is another one, and it is scored again.
        turns = list(read_turns(connection, session, known=known))
        told = _scores(turns)
        with transaction(connection):
            changed = connection.execute(_UPDATE, (*_session_row(turns, told), session, *state))
            if changed.rowcount:
                connection.execute("DELETE FROM turn_score WHERE session_id = ?", (session,))
                connection.executemany(
                    "INSERT INTO turn_score VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (session, turn.trace_id, turn.root_id, *_turn_row(it))
                        for turn, it in zip(turns, told.turns, strict=True)
                    ),
                )


def read_turns(
    connection: sqlite3.Connection, session_id: str, known: KnownTurns = _NONE
) -> Iterator[Turn]:
    """Yield the turns of a session, without their scores."""
    for trace, ids in groupby(turn_ids(connection, session_id), itemgetter(0)):
        turns = known.get(trace)
        if turns is None:
            turns = turns_of(spans_of_trace(connection, trace))
        yield from turns_with_ids(turns, session_id, ids)


def turn_ids(
    connection: sqlite3.Connection, session_id: str, skipped: int = 0, number: int = -1
) -> list[tuple[bytes, bytes]]:
    """Return the traces and roots of a session's turns, so many of them after skipping some."""
    query = (
        f"SELECT trace_id, root_id FROM turn WHERE session_id = ? AND {SHOWN} "
        f"ORDER BY {TURN_ORDER} LIMIT ? OFFSET ?"
    )
    return connection.execute(query, (session_id, number, skipped)).fetchall()


def turns_with_ids(
    turns: Sequence[Turn], session_id: str, ids: Iterable[tuple[bytes, bytes]]
) -> Iterator[Turn]:
    """Yield those of the *turns* of a trace that have these ids, in the order of the ids."""
    # There is one turn of each root and session in a trace.
    of_session = {turn.root_id: turn for turn in turns if turn.session_id == session_id}
    yield from (of_session[root] for _, root in ids if root in of_session)


def stored_scores(connection: sqlite3.Connection, session_id: str, turn: Turn) -> dict[str, Any]:
    """Return what the signals say about a turn, as fields of `Turn`; nothing if not scored."""
    row = connection.execute(
        "SELECT friction, failure, findings FROM turn_score "
        "WHERE session_id = ? AND trace_id = ? AND root_id = ?",
        (session_id, turn.trace_id, turn.root_id),
    ).fetchone()
    if row is None:
        return {}
    return {"friction": row[0], "failure": row[1], "findings": findings_of(row[2])}


def findings_of(stored: str) -> tuple[Finding, ...]:
    """Return the findings that are stored with a turn."""
    return tuple(
        Finding(it["name"], it["score"], bytes.fromhex(it["span"]), it["words"])
        for it in json.loads(stored)
    )


def bad_turn(number: int | None, stored: str | None) -> BadTurn | None:
    """Return the bad turn that is stored with a session."""
    if number is None or stored is None:
        return None
    it = json.loads(stored)
    ids = {f"{name}_id": bytes.fromhex(it[name]) for name in ("trace", "root", "span", "cause")}
    return BadTurn(
        number,
        it["kind"],
        it["score"],
        **ids,
        signals=tuple(it["signals"]),
        words=it["words"],
        cause_trace_id=bytes.fromhex(it["cause_trace"]),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What the signals say about a conversation, as `Session` has it."""

    friction: float
    failure: float
    first_bad_turn: BadTurn | None
    worst_turn: BadTurn | None


def told(turns: Sequence[Turn]) -> Told:
    """Return what the signals say about these turns, in their order. Nothing is stored."""
    friction, failure, first, first_bad, worst_number, worst = _session_row(turns, _scores(turns))
    return Told(friction, failure, bad_turn(first, first_bad), bad_turn(worst_number, worst))


def _scores(turns: Sequence[Turn]) -> ConversationScores:
    try:
        return scores(turns)
    except Exception:  # One strange conversation must not keep all others from being scored.
        contain("scoring a session")
        nothing = tuple(TurnScores(0.0, 0.0, 0.0, ()) for _ in turns)
        return ConversationScores(nothing, 0.0, 0.0, None, None, None)


def _session_row(turns: Sequence[Turn], told: ConversationScores) -> tuple[Any, ...]:
    worst = max(
        filter(None, (told.worst_friction, told.worst_failure)),
        key=lambda it: it.score,
        default=None,
    )
    return (told.friction, told.failure, *_bad(turns, told.first_bad), *_bad(turns, worst))


def _bad(turns: Sequence[Turn], found: Break | None) -> tuple[int | None, str | None]:
    if found is None:
        return None, None
    turn = turns[found.turn]
    # What annoys is the answer before.
    blamed = turns[max(0, found.turn - 1)] if found.kind == "friction" else turn
    noticed = sorted(found.findings, key=lambda it: -it.score)
    content = {
        "kind": found.kind,
        "score": found.score,
        "trace": turn.trace_id.hex(),
        "root": turn.root_id.hex(),
        "span": found.span_id.hex(),
        "cause": found.cause_id.hex(),
        "cause_trace": blamed.trace_id.hex(),
        "signals": list(dict.fromkeys(it.name for it in noticed)),
        "words": next((_text(it.words) for it in noticed if it.words), ""),
    }
    return found.turn + 1, json.dumps(content, ensure_ascii=False)


def _turn_row(it: TurnScores) -> tuple[float, float, str]:
    return it.friction, it.failure, json.dumps(list(map(_stored, it.findings)), ensure_ascii=False)


def _stored(it: TurnFinding) -> dict[str, Any]:
    words = _text(it.words)
    return {"name": it.name, "score": it.score, "span": it.span_id.hex(), "words": words}


def _text(text: str) -> str:
    return text if is_utf8(text) else text.encode("utf-8", "replace").decode()
