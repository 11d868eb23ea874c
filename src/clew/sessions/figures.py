"""The figures of a session and of its users, from the rows of its turns."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import ceil
from typing import Any

from clew.store.encoding import is_utf8

_SUMMED = (
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
)
_LISTS = {"models": "model", "frameworks": "framework", "tools": "tool"}
"""Columns that contain lists, and what one entry of each is called."""
_GREATEST = 2**63 - 1
_MAX_NAME, _MAX_VALUE, _MOST_METADATA = 100, 200, 200
"""Of the metadata of turns that a session is found by: the longest name and value, in characters,
and how many pairs of them there are for a session."""

Row = Mapping[str, Any]


def session_rows(
    session_id: str,
    turns: Sequence[Row],
    first_message: str,
    last_message: str,
    metadata: Iterable[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a session by their table, given those of its *turns* in their order.

    *metadata* is that of turns, each as JSON.
    """
    if not turns:
        return {}
    messages = {"first_message": first_message, "last_message": last_message}
    return {
        "session": [_storable(_session(session_id, turns) | messages)],
        "session_value": list(_values(session_id, turns, metadata)),
        "user_session": list(map(_storable, _users(session_id, turns))),
    }


def percentile(values: Iterable[int], share: float) -> int:
    """Return the smallest of *values* that a *share* of them does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def total(values: Iterable[Any]) -> Any:
    """Return the sum of the *values* that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """Return *row* with integers of 64 bits: the times of spans, and so their sums, may be any."""
    return {
        name: max(-_GREATEST, min(value, _GREATEST)) if type(value) is int else value
        for name, value in row.items()
    }


def _session(session_id: str, turns: Sequence[Row]) -> dict[str, Any]:
    said = [turn for turn in turns if turn["said"]]
    shown = sum(turn["said"] or turn["errors"] > 0 for turn in turns)
    latencies = [turn["end_ns"] - turn["start_ns"] for turn in said or turns]
    first_tokens = [turn["first_token_ns"] for turn in turns if turn["first_token_ns"] is not None]
    users = [turn["user_id"] for turn in turns if turn["user_id"]]
    first, last = turns[0]["start_ns"], max(turn["end_ns"] for turn in turns)
    return {
        "session_id": session_id,
        "user_id": users[-1] if users else None,
        "users": len(set(users)),
        "first_ns": first,
        "last_ns": last,
        "duration_ns": last - first,
        "think_ns": _think_time(said or turns),
        "turns": shown,
        **{name: total(turn[name] for turn in turns) for name in _SUMMED},
        "failed_turns": sum(turn["errors"] > 0 for turn in turns),
        "latency_p50_ns": percentile(latencies, 0.5),
        "latency_p95_ns": percentile(latencies, 0.95),
        "first_token_p50_ns": percentile(first_tokens, 0.5) if first_tokens else None,
        **{column: json.dumps(_names(turns, column)) for column in _LISTS},
    }


def _think_time(turns: Sequence[Row]) -> int:
    """Return how long nothing was done for the user, between the first turn and the last."""
    waited, until = 0, turns[0]["end_ns"]
    for turn in turns[1:]:
        waited += max(0, turn["start_ns"] - until)
        until = max(until, turn["end_ns"])
    return waited


def _names(turns: Sequence[Row], column: str) -> list[str]:
    # Most turns of a session have the same ones.
    different = dict.fromkeys(turn[column] for turn in turns)
    return list(dict.fromkeys(name for text in different for name in json.loads(text)))


def metadata_kind(name: str) -> str:
    """Return the kind of the values in `session_value` that turns have under *name*."""
    return f"metadata:{name}"


def metadata_value(value: object) -> str | None:
    """Return *value* as sessions are found by it; None if it is no text, number or truth value."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _metadata(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the values in the metadata of turns by their kind: short ones, and not too many."""
    found: dict[tuple[str, str], None] = {}
    for text in dict.fromkeys(texts):  # Most turns of a session have the same.
        for name, given in json.loads(text).items():
            value = metadata_value(given)
            if value is None or len(name) > _MAX_NAME or len(value) > _MAX_VALUE:
                continue
            if is_utf8(name + value):
                found[metadata_kind(name), value] = None
        if len(found) > _MOST_METADATA:
            break
    by_kind: dict[str, list[str]] = {}
    for kind, value in islice(found, _MOST_METADATA):
        by_kind.setdefault(kind, []).append(value)
    return by_kind


def _values(
    session_id: str, turns: Sequence[Row], metadata: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield what the session can be found by."""
    last = max(turn["end_ns"] for turn in turns)
    found = {
        "user": dict.fromkeys(turn["user_id"] for turn in turns if turn["user_id"]),
        "tag": dict.fromkeys(_names(turns, "tags")),
        **{kind: dict.fromkeys(_names(turns, column)) for column, kind in _LISTS.items()},
        **_metadata(metadata),
    }
    for kind, values in found.items():
        for value in values:
            yield {"kind": kind, "value": value, "last_ns": last, "session_id": session_id}


def _users(session_id: str, turns: Sequence[Row]) -> Iterator[dict[str, Any]]:
    by_user: dict[str, list[Row]] = {}
    for turn in turns:
        if turn["user_id"]:
            by_user.setdefault(turn["user_id"], []).append(turn)
    for user, own in by_user.items():
        yield {
            "user_id": user,
            "session_id": session_id,
            "first_ns": own[0]["start_ns"],
            "last_ns": max(turn["end_ns"] for turn in own),
            "turns": sum(turn["said"] or turn["errors"] > 0 for turn in own),
            **{name: total(turn[name] for turn in own) for name in ("total_tokens", "cost")},
            "errors": sum(turn["errors"] for turn in own),
            "failed_turns": sum(turn["errors"] > 0 for turn in own),
            "latency_ns": sum(turn["end_ns"] - turn["start_ns"] for turn in own if turn["said"]),
        }
