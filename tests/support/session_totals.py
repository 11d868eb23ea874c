"""The figures of a session, counted plainly from its turns, to compare the summaries with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from clew.sessions.calls import add_tokens
from clew.sessions.model import Tokens, Turn


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: all turns with one session id, and their figures together.

    The latencies are those of turns in which something was said: how long the user waited. A
    percentile is by nearest rank: the smallest one that at least so many percent of them do not
    exceed.
    """

    session_id: str
    user_ids: tuple[str, ...]
    """In the order of their first turns; normally there is one."""
    start: int
    end: int
    turns: tuple[Turn, ...]
    """In the order of their start, those in which nothing was said included."""
    turn_count: int
    """How many turns there are in which something was said."""
    think_seconds: float
    """How long the user took altogether, from the end of each turn to the start of the next."""
    spans: int
    tokens: Tokens
    cost: float | None
    errors: int
    """How many spans failed."""
    failed_turns: int
    """In how many turns something failed."""
    error: str
    """The first thing that went wrong; empty if nothing did."""
    p50_seconds: float | None
    p95_seconds: float | None
    p50_first_token: float | None
    """Of the turns whose first token is known; None if there are none."""
    p95_first_token: float | None
    first_message: str
    """What the user said first."""
    last_message: str
    """What came back last, or what the user said if nothing did."""
    models: tuple[str, ...]
    frameworks: tuple[str, ...]
    tools: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it took, from the start of its first turn to the end of its last one."""
        return (self.end - self.start) / 1e9


def session_of(turns: Sequence[Turn]) -> Session:
    """Return the session that *turns* are, all of one session id; there must be at least one."""
    if not turns:
        message = "a session has at least one turn, but none was given"
        raise ValueError(message)
    ordered = sorted(turns, key=lambda it: (it.start, it.trace_id, it.root_id))
    spoken = [it for it in ordered if it.spoken]
    waits = [it.seconds for it in spoken]
    first_tokens = [it.time_to_first_token for it in spoken if it.time_to_first_token is not None]
    costs = [it.cost for it in ordered if it.cost is not None]
    asked = (it.input.text for it in spoken if it.input.role == "user" and it.input.text)
    said = (text for it in reversed(spoken) if (text := it.output.text or it.input.text))
    return Session(
        session_id=ordered[0].session_id,
        user_ids=_distinct(it.user_id for it in ordered),
        start=ordered[0].start,
        end=max(it.end for it in ordered),
        turns=tuple(ordered),
        turn_count=len(spoken),
        think_seconds=_think_seconds(spoken),
        spans=sum(it.spans for it in ordered),
        tokens=add_tokens(it.tokens for it in ordered),
        cost=sum(costs) if costs else None,
        errors=sum(it.errors for it in ordered),
        failed_turns=sum(it.errors > 0 for it in ordered),
        error=next((it.error for it in ordered if it.error), ""),
        p50_seconds=percentile(waits, 50),
        p95_seconds=percentile(waits, 95),
        p50_first_token=percentile(first_tokens, 50),
        p95_first_token=percentile(first_tokens, 95),
        first_message=next(asked, ""),
        last_message=next(said, ""),
        models=_distinct(name for it in ordered for name in it.models),
        frameworks=_distinct(name for it in ordered for name in it.frameworks),
        tools=_distinct(name for it in ordered for name in it.tools),
        tags=_distinct(tag for it in ordered for tag in it.tags),
    )


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile: the value at place ceil(n * percent / 100), from 1.

    It is always one of the values. Databases call it ``percentile_disc``; None without values.
    """
    if not values:
        return None
    return sorted(values)[max(1, ceil(len(values) * percent / 100)) - 1]


def _think_seconds(turns: Iterable[Turn]) -> float:
    """Return the sum of the gaps between turns; turns at the same time leave none."""
    total, end = 0, None
    for turn in turns:
        if end is not None and turn.start > end:
            total += turn.start - end
        end = turn.end if end is None else max(end, turn.end)
    return total / 1e9


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))
