"""Keeps the tables of turns and sessions equal to what the stored spans say.

Spans get growing ids in the order in which they become visible. So whoever brings the tables up to
date begins after the id up to which that was done last, and makes the turns of every trace anew of
which there is a new span, however late it comes (`next_traces`). Each step is one transaction, so
any number of processes may do it.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

from clew.sessions import carried, copies, evaluated
from clew.sessions.figures import session_rows
from clew.sessions.model import Turn
from clew.sessions.next_traces import ReadTrace, forget_notes, next_step, note, read_trace
from clew.sessions.scoring import TURN_ORDER
from clew.store.database import transaction
from clew.store.encoding import is_utf8

RULES = 3
"""The release of the rules in `words`. All summaries are made anew after it has changed."""
MAX_TEXT = 20_000
"""How many characters of what was said in a turn are kept for lists and searches."""
_MAX_MESSAGE = 500
"""How many characters of the first and the last message a session's row contains."""
LATEST = 2**63 - 1
"""The latest moment that can be stored."""
_MOST = 2**40
"""More tokens than any turn has. A span may say anything, and sums have to fit into 64 bits."""
_SPANS_PER_STEP, _SPANS_PER_SHORT_STEP = 256, 32
"""How many new spans are handled in one transaction, for which other writers have to wait; the
second where there is little time."""
_LITTLE_SECONDS = 0.1
_SECONDS_WITHOUT_PAUSE, _PAUSE_SECONDS = 0.25, 0.025
"""How long one transaction follows the other, and for how long others can write then: whoever waits
for the lock looks from time to time whether it is free."""
_NONE: Mapping[bytes, ReadTrace] = MappingProxyType({})
_MAX_METADATA = 4_000
"""How many characters of a turn's metadata are read to find its session by them."""

_TURN = (
    "session_id",
    "trace_id",
    "root_id",
    "user_id",
    "start_ns",
    "end_ns",
    "said",
    "input",
    "output",
    "spans",
    "model_calls",
    "tool_calls",
    "retrievals",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "first_token_ns",
    "errors",
    "error",
    "models",
    "frameworks",
    "tools",
    "tags",
    "metadata",
)
_FIGURES = tuple(name for name in _TURN if name not in {"input", "output", "error", "metadata"})
_SELECT = f"SELECT id, {', '.join(_TURN)} FROM turn"
_INSERT = f"INSERT INTO turn ({', '.join(_TURN)}) VALUES ({', '.join('?' * len(_TURN))})"


def is_up_to_date(connection: sqlite3.Connection) -> bool:
    """Whether the tables contain every stored span."""
    (behind,) = connection.execute(
        "SELECT coalesce((SELECT max(id) FROM span), 0) > summarised.value OR rules.value <> ? "
        "FROM progress AS summarised, progress AS rules "
        "WHERE summarised.name = 'summarised' AND rules.name = 'rules'",
        (RULES,),
    ).fetchone()
    return not behind


def spans_left(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return about how many spans the tables do not contain yet, and how many are stored."""
    first, last, done = connection.execute(
        "SELECT coalesce((SELECT min(id) FROM span), 1), coalesce((SELECT max(id) FROM span), 0), "
        "iif(rules.value = ?, summarised.value, 0) FROM progress AS summarised, progress AS rules "
        "WHERE summarised.name = 'summarised' AND rules.name = 'rules'",
        (RULES,),
    ).fetchone()
    return max(0, last - max(done, first - 1)), last - first + 1


def bring_up_to_date(connection: sqlite3.Connection, seconds: float = float("inf")) -> bool:
    """Add what was stored since the last time; return whether it was done in so many *seconds*."""
    until = monotonic() + seconds
    at_once = _SPANS_PER_STEP if seconds > _LITTLE_SECONDS else _SPANS_PER_SHORT_STEP
    pause_at = monotonic() + _SECONDS_WITHOUT_PAUSE
    large: bytes | None = None
    while not is_up_to_date(connection):
        if monotonic() > pause_at:
            sleep(_PAUSE_SECONDS)
            pause_at = monotonic() + _SECONDS_WITHOUT_PAUSE
        read = {} if large is None else {large: read_trace(connection, large)}
        large = _go_on(connection, at_once, read)
        # What was read is used, however long that took: else it would be read again and again.
        if (read or large is None) and monotonic() > until:
            return is_up_to_date(connection)
    return True


def _go_on(
    connection: sqlite3.Connection, at_once: int, read: Mapping[bytes, ReadTrace]
) -> bytes | None:
    """Summarise what comes next; return the large trace that has to be read to go on, if any."""
    with transaction(connection):
        _use_current_rules(connection)
        (done,) = connection.execute(
            "SELECT value FROM progress WHERE name = 'summarised'"
        ).fetchone()
        step = next_step(connection, done, at_once, read)
        refresh(connection, step.ends, read=step.read)
        connection.execute("UPDATE progress SET value = ? WHERE name = 'summarised'", (step.last,))
        note(connection, step)
    return step.large


def refresh(
    connection: sqlite3.Connection,
    traces: Iterable[bytes],
    found: dict[bytes, Sequence[Turn]] | None = None,
    read: Mapping[bytes, ReadTrace] = _NONE,
) -> None:
    """Make the turns of these *traces* anew, and the summaries of the sessions that they are in.

    The turns are put into *found*, for whoever needs them next. What was *read* before is not read
    again.
    """
    sessions = set[str]()
    wanted = list(traces)
    for trace in wanted:  # To which are added those that something is said about.
        before = {
            tuple(row[1:]): row[0]
            for row in connection.execute(f"{_SELECT} WHERE trace_id = ?", (trace,))
        }
        it = read.get(trace) or read_trace(connection, trace)
        spans = it.spans
        wanted.extend(carried.add_carried(connection, spans))
        if found is not None:
            found[trace] = it.turns
        after = list(map(_row, it.turns))
        for row in before.keys() - set(after):
            _delete(connection, before[row], row)
            sessions.add(row[0])
        for row in after:
            if row not in before:
                _insert(connection, row)
                sessions.add(row[0])
        turns = set(map(_of, after))
        evaluated.follow(connection, trace, spans, turns)
        carried.adopt(connection, trace, spans, turns)
        connection.execute("DELETE FROM silent_trace WHERE trace_id = ?", (trace,))
        if spans and not after:
            end = min(max(span.end for span in spans), LATEST)
            connection.execute("INSERT INTO silent_trace VALUES (?, ?)", (trace, end))
    refresh_sessions(connection, sessions)
    if copies.is_copy(connection):
        copies.put_in_order(connection, wanted, sessions)


def refresh_sessions(connection: sqlite3.Connection, sessions: Collection[str]) -> None:
    """Make the summaries of these *sessions* anew from their turns."""
    for session in sessions:
        if not session:
            continue  # Turns outside of any session.
        for table in ("session", "session_value", "user_session", "turn_score"):
            connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (session,))
        # Without the texts, which are most of a row. A session may have very many turns.
        cursor = connection.execute(
            f"SELECT {', '.join(_FIGURES)} FROM turn WHERE session_id = ? ORDER BY {TURN_ORDER}",
            (session,),
        )
        turns = [dict(zip(_FIGURES, row, strict=True)) for row in cursor]
        first, last = (_message(connection, session, end) for end in ("first", "last"))
        metadata = connection.execute(
            "SELECT metadata FROM turn WHERE session_id = ? AND length(metadata) <= ? "
            f"AND metadata <> '{{}}' ORDER BY {TURN_ORDER}",
            (session, _MAX_METADATA),
        )
        found = session_rows(session, turns, first, last, (text for (text,) in metadata))
        for row in found.get("session", ()):
            row["last_span"] = _last_span(connection, session)
        for table, rows in found.items():
            for row in rows:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"
                connection.execute(insert, tuple(row.values()))


def _message(connection: sqlite3.Connection, session: str, end: str) -> str:
    """Return the beginning of what was said at the *end* of a session that is wanted."""
    text, direction = (
        ("input", "ASC")
        if end == "first"
        else ("CASE output WHEN '' THEN input ELSE output END", "DESC")
    )
    order = ", ".join(f"{column} {direction}" for column in TURN_ORDER.split(", "))
    row = connection.execute(
        # Not cut by SQLite, for which a text ends before a NUL in it.
        f"SELECT {text} FROM turn "
        f"WHERE session_id = ? AND said AND {text} <> '' ORDER BY {order} LIMIT 1",
        (session,),
    ).fetchone()
    return str(row[0])[:_MAX_MESSAGE] if row else ""


def _last_span(connection: sqlite3.Connection, session: str) -> int:
    """Return the number of the span in the traces of a session that was stored last.

    What is said about a session does not make it go on.
    """
    query = (
        "SELECT max(span.id) FROM turn JOIN span USING (trace_id) WHERE turn.session_id = ? "
        "AND openinference_kind IS NOT 'EVALUATOR'"
    )
    return int(connection.execute(query, (session,)).fetchone()[0] or 0)


def _of(row: Sequence[Any]) -> tuple[str, bytes]:
    """Return the session and the root of a turn's row."""
    return row[_TURN.index("session_id")], row[_TURN.index("root_id")]


def _use_current_rules(connection: sqlite3.Connection) -> None:
    """Forget all summaries that were made by other rules than these."""
    (rules,) = connection.execute("SELECT value FROM progress WHERE name = 'rules'").fetchone()
    if rules == RULES:
        return
    for table in ("turn", "silent_trace", "session", "session_value", "user_session", "turn_score"):
        connection.execute(f"DELETE FROM {table}")  # Triggers empty the tables of sums.
    connection.execute("INSERT INTO turn_text (turn_text) VALUES ('delete-all')")
    forget_notes(connection)
    connection.execute("UPDATE progress SET value = 0 WHERE name = 'summarised'")
    connection.execute("UPDATE progress SET value = ? WHERE name = 'rules'", (RULES,))


def _row(turn: Turn) -> tuple[Any, ...]:
    kinds = [call.kind for call in turn.calls]
    tokens = turn.tokens
    first_token = turn.time_to_first_token
    return (
        _text(turn.session_id),
        turn.trace_id,
        turn.root_id,
        _text(turn.user_id) or None,
        min(turn.start, LATEST),
        min(turn.end, LATEST),
        int(turn.spoken),
        _text(turn.input.text),
        _text(turn.output.text),
        turn.spans,
        kinds.count("model"),
        kinds.count("tool"),
        kinds.count("retrieval"),
        _count(tokens.prompt),
        _count(tokens.completion),
        _count(tokens.total),
        _count(tokens.cached),
        _count(tokens.reasoning),
        turn.cost,
        None if first_token is None else min(round(first_token * 1e9), LATEST),
        turn.errors,
        _text(turn.error) or None,
        _names(turn.models),
        _names(turn.frameworks),
        _names(turn.tools),
        _names(turn.tags),
        json.dumps(turn.metadata, default=str),
    )


def _count(number: int | None) -> int | None:
    return None if number is None else max(-_MOST, min(number, _MOST))


def _text(text: str) -> str:
    """Return the beginning of *text*, as it can be stored."""
    text = text[:MAX_TEXT]
    return text if is_utf8(text) else text.encode("utf-8", "replace").decode()


def _names(names: Iterable[str]) -> str:
    return json.dumps([_text(name) for name in names])


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    (number,) = connection.execute(f"{_INSERT} RETURNING id", row).fetchone()
    texts = (row[_TURN.index("input")], row[_TURN.index("output")])
    connection.execute(
        "INSERT INTO turn_text (rowid, input, output) VALUES (?, ?, ?)", (number, *texts)
    )


def _delete(connection: sqlite3.Connection, number: int, row: tuple[Any, ...]) -> None:
    texts = (row[_TURN.index("input")], row[_TURN.index("output")])
    connection.execute(
        "INSERT INTO turn_text (turn_text, rowid, input, output) VALUES ('delete', ?, ?, ?)",
        (number, *texts),
    )
    connection.execute("DELETE FROM turn WHERE id = ?", (number,))
