"""The turns of all sessions as they come, the newest first."""

import json
from dataclasses import dataclass
from time import time_ns
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.context.pseudonyms import pseudonymise
from clew.core.errors import ConfigurationError
from clew.viewer.pages.session import SLOW
from clew.viewer.parts import parse_turn_key
from clew.viewer.readers import Reader, TraceNotFoundError, readers_of
from clew.viewer.rendering import href, page
from clew.viewer.running import recently, running
from clew.viewer.turn_list import turn_rows
from clew.viewer.wording import error_of

_SHOWN = 60
_SEARCHED = 5_000
"""Turns among which those that are wanted are looked for: the latest ones."""

_LATEST = """
SELECT session_id, trace_id AS trace, root_id AS root, user_id, start_ns, end_ns, errors, error,
    substr(input, 1, 400) AS asked, substr(output, 1, 400) AS answered, total_tokens, cost, models,
    tools, said
FROM turn WHERE id IN (
    SELECT id FROM (
        SELECT id, start_ns, end_ns, errors, said FROM turn {where}
        ORDER BY start_ns DESC LIMIT :searched
    ) WHERE {errors} ORDER BY start_ns DESC, id DESC LIMIT :most
) ORDER BY start_ns DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class LiveTurn:
    """One turn of the list."""

    key: str
    session_id: str
    user_id: str
    start_ns: int
    seconds: float
    running: bool
    asked: str
    answered: str
    error: str
    errors: int
    tokens: int | None
    cost: float | None
    models: list[str]
    tools: list[str]

    @property
    def slow(self) -> bool:
        """Whether people have stopped waiting."""
        return self.seconds >= SLOW


def live(request: Request) -> Response:
    """Answer a request to the turns as they come."""
    user = request.query_params.get("user", "")
    user = user if user.strip() else ""
    errors = request.query_params.get("errors", "")
    if errors not in {"", "yes"}:
        message = f"errors={errors[:40]!r} is not known; it is yes, or left out"
        raise ConfigurationError(message)
    with readers_of(request).lend() as reader:
        turns = _latest(reader, user, errors=errors == "yes")
    return page(
        request,
        "live.html",
        turns=turns,
        user=user,
        errors=errors,
        most=_SHOWN,
        searched=_SEARCHED,
        without_user=href("/live", errors=errors),
        without_errors=href("/live", user=user),
    )


def turn(request: Request) -> Response:
    """Lead to a turn on the page of its session, wherever it is there."""
    trace, root = parse_turn_key(request.query_params.get("turn", ""))
    with readers_of(request).lend() as reader:
        query = "SELECT session_id, root_id = :root AS is_it FROM turn WHERE trace_id = :trace"
        found = reader.rows(f"{query} ORDER BY is_it DESC, start_ns DESC LIMIT 1",
                            {"trace": trace, "root": root})  # fmt: skip
        if not found:
            if not reader.has(trace):
                raise TraceNotFoundError(trace)
            message = f"there is no turn {trace.hex()}-{root.hex()} in the store"
            raise LookupError(message)
        session_id = found[0]["session_id"]
        rows = turn_rows(reader, session_id) if session_id else []
    numbers = {row.key: number for number, row in enumerate(rows, 1)}
    # A turn that was running has another root now: its last one leads to the same place.
    of_trace = [number for (of, _), number in numbers.items() if of == trace]
    number = numbers.get((trace, root)) or max(of_trace, default=0)
    if not number:
        return RedirectResponse(href("/trace", trace=trace.hex()), 303)
    where = href("/session", id=session_id, turn=number)
    return RedirectResponse(f"{where}#turn-{number}", 303)


def _latest(reader: Reader, user: str, *, errors: bool) -> list[LiveTurn]:
    query = _LATEST.format(
        where="WHERE user_id IN (:user, :pseudonym)" if user else "",
        errors="errors > 0" if errors else "said OR errors > 0 OR end_ns > :recent",
    )
    parameters = {
        "user": user,
        "pseudonym": str(pseudonymise(user)),
        "searched": _SEARCHED,
        "most": _SHOWN,
        "recent": recently(),
    }
    rows = reader.rows(query, parameters)
    keys = [(row["trace"], row["root"]) for row in rows]
    times = [(row["start_ns"], row["end_ns"]) for row in rows]
    going = running(reader, [(*key, *time) for key, time in zip(keys, times, strict=True)])
    return [
        _live_turn(row, is_running=key in going)
        for key, row in zip(keys, rows, strict=True)
        if row["said"] or row["errors"] or key in going
    ]


def _live_turn(row: dict[str, Any], *, is_running: bool) -> LiveTurn:
    end = max(time_ns(), row["start_ns"]) if is_running else row["end_ns"]
    return LiveTurn(
        key=f"{row['trace'].hex()}-{row['root'].hex()}",
        session_id=row["session_id"],
        user_id=row["user_id"] or "",
        start_ns=row["start_ns"],
        seconds=(end - row["start_ns"]) / 1e9,
        running=is_running,
        asked=row["asked"],
        answered=row["answered"],
        error=error_of(row["error"] or "") if row["errors"] or row["error"] else "",
        errors=row["errors"],
        tokens=row["total_tokens"],
        cost=row["cost"],
        models=json.loads(row["models"]),
        tools=json.loads(row["tools"]),
    )
