"""Makes a `Session` of a row of the table `session`; its turns are read when they are wanted."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from clew.sessions import scoring
from clew.sessions.model import Tokens, Turn
from clew.sessions.session import Session, StoredTurns
from clew.sessions.words import turns_of
from clew.store.fork_guard import no_fork
from clew.store.fork_safe import ForkSafeConnection
from clew.store.reader import spans_of_trace

COLUMNS = (
    "session_id",
    "user_id",
    "users",
    "first_ns",
    "last_ns",
    "duration_ns",
    "think_ns",
    "turns",
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
    "errors",
    "failed_turns",
    "latency_p50_ns",
    "latency_p95_ns",
    "first_token_p50_ns",
    "first_message",
    "last_message",
    "models",
    "frameworks",
    "tools",
    "friction",
    "failure",
    "first_bad_turn",
    "first_bad",
    "worst_turn",
    "worst",
)
_OUTCOME = (
    "SELECT annotator_kind = 'HUMAN', seen, id, label, score FROM current_evaluation "
    "WHERE session_id = ? AND trace_id IS NULL AND name = 'outcome'"
)
_YES = 0.5


def session_of(file: ForkSafeConnection, row: Sequence[Any]) -> Session:
    """Return the session of a row with `COLUMNS`; called within `no_fork`."""
    session_id = row[0]
    said = file.get().execute(_OUTCOME, (session_id,)).fetchall()
    return session_from(row, partial(_turns, file, session_id), outcome_of(said))


def session_from(
    row: Sequence[Any], read_turns: Callable[[int, int], Iterator[Turn]], outcome: str
) -> Session:
    """Return the session of a row with `COLUMNS`, and of what reads its turns."""
    values = dict(zip(COLUMNS, row, strict=True))
    first_token = values["first_token_p50_ns"]
    same = ("users", "spans", "model_calls", "tool_calls", "retrievals", "cost", "errors")
    return Session(
        id=values["session_id"],
        user_id=values["user_id"] or "",
        first=_moment(values["first_ns"]),
        last=_moment(values["last_ns"]),
        seconds=values["duration_ns"] / 1e9,
        think_seconds=values["think_ns"] / 1e9,
        tokens=Tokens(
            values["prompt_tokens"],
            values["completion_tokens"],
            values["total_tokens"],
            values["cached_tokens"],
            values["reasoning_tokens"],
        ),
        failed_turns=values["failed_turns"],
        latency_p50=values["latency_p50_ns"] / 1e9,
        latency_p95=values["latency_p95_ns"] / 1e9,
        first_token_p50=None if first_token is None else first_token / 1e9,
        first_message=values["first_message"],
        last_message=values["last_message"],
        models=tuple(json.loads(values["models"])),
        frameworks=tuple(json.loads(values["frameworks"])),
        tools=tuple(json.loads(values["tools"])),
        turns=StoredTurns(values["turns"], read_turns),
        friction=values["friction"],
        failure=values["failure"],
        first_bad_turn=scoring.bad_turn(values["first_bad_turn"], values["first_bad"]),
        worst_turn=scoring.bad_turn(values["worst_turn"], values["worst"]),
        outcome=outcome,
        **{name: values[name] for name in same},
    )


def _turns(file: ForkSafeConnection, session_id: str, skipped: int, number: int) -> Iterator[Turn]:
    with no_fork():
        ids = scoring.turn_ids(file.get(), session_id, skipped, number)
    for trace, of_trace in groupby(ids, itemgetter(0)):
        with no_fork():  # Not while a turn is with the caller, who may fork.
            connection = file.get()
            turns = [
                replace(turn, **scoring.stored_scores(connection, session_id, turn))
                for turn in scoring.turns_with_ids(
                    turns_of(spans_of_trace(connection, trace)), session_id, of_trace
                )
            ]
        yield from turns


def outcome_of(said: Sequence[tuple[Any, ...]]) -> str:
    """Return what was said last about the outcome of a session, by a person if one said it.

    *said* are rows with: whether by a person, how much was seen, the number, the label, the score.
    """
    if not said:
        return "unknown"
    *_, label, score = max(said)  # The numbers of evaluations differ.
    return label or ("unknown" if score is None else "yes" if score >= _YES else "no")


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
