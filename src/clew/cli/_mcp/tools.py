"""The tools of ``clew mcp``: what an agent can ask about the conversations in a store."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from clew.cli._lookup import find
from clew.cli._mcp.data import (
    bad_turn_data,
    call_data,
    cut,
    moment,
    session_brief,
    turn_data,
)
from clew.cli._mcp.reading import EngineReading, Reading, what_is_missing
from clew.cli._options import moment_of
from clew.evaluations import results
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.metrics import figures, metrics
from clew.sessions.listing import Order
from clew.sessions.model import BadTurn
from clew.sessions.session import Session
from clew.sessions.store import SessionStore

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

_MAX_EXPLANATION = 2_000
_LAST_OF_TRACE = {
    # What is said about a trace is put into it, and does not make it go on.
    True: "SELECT max(id) AS last FROM span WHERE trace_id = ? "
    "AND openinference_kind IS NOT 'EVALUATOR'",
    # On an engine, how far was seen is a number of spans.
    False: "SELECT sum(spans) AS last FROM turn WHERE trace_id = ?",
}
"""How far a trace has come, by whether it is in an SQLite store."""
Limit = Annotated[int, Field(ge=1, le=100, description="How many to return, at most 100.")]
Characters = Annotated[
    int, Field(ge=50, le=50_000, description="How many characters of each text to return.")
]
Time = Annotated[
    str | None, Field(description="A time: 30m, 2h or 3d ago, or a date such as 2026-01-31.")
]
After = Annotated[str | None, Field(description="`next` of the page before.")]
SessionId = Annotated[str, Field(description="The id of a session, or the beginning of it.")]


class Tools:
    """The tools. Each opens the store to read it, and closes it, so that it is always current."""

    def __init__(self, place: Path | str) -> None:
        """Ask the store in a file, or the engine at a URL."""
        self._reading: Reading | EngineReading = (
            Reading(place) if isinstance(place, Path) else EngineReading(place)
        )

    def close(self) -> None:
        """Delete what was copied."""
        self._reading.close()

    def list_sessions(
        self,
        *,
        order_by: Order = "last",
        ascending: bool = False,
        user: str | None = None,
        model: str | None = None,
        tool: str | None = None,
        tag: str | None = None,
        metadata: dict[str, str | float] | None = None,
        text: Annotated[str | None, Field(description="Words said in one turn.")] = None,
        since: Time = None,
        until: Time = None,
        errors: Annotated[bool | None, Field(description="Whether something failed.")] = None,
        limit: Limit = 20,
        after: After = None,
    ) -> dict[str, Any]:
        """List conversations with their figures, the one used last first."""
        with self._reading.store() as store:
            found = store.list(
                order_by=order_by,
                ascending=ascending,
                user=user,
                model=model,
                tool=tool,
                tag=tag,
                metadata=metadata,
                text=text,
                since=moment_of(since) if since else None,
                until=moment_of(until) if until else None,
                errors=errors,
                limit=limit,
                after=after,
            )
            return _page(found, limit) | what_is_missing(store)

    def worst_sessions(
        self,
        *,
        by: Literal["worst", "friction", "failure", "errors", "cost", "latency"] = "worst",
        user: str | None = None,
        since: Time = None,
        limit: Limit = 10,
        after: After = None,
    ) -> dict[str, Any]:
        """List the worst conversations first, each with the first turn that is bad.

        `friction` is how likely the user is annoyed, `failure` how likely something technically
        failed, both from 0 to 1 and without asking a model; `worst` is the greater of the two.
        """
        with self._reading.store() as store:
            start = moment_of(since) if since else None
            found = store.list(order_by=by, user=user, since=start, limit=limit, after=after)
            return _page(found, limit) | what_is_missing(store)

    def open_session(
        self,
        session_id: SessionId,
        *,
        from_turn: Annotated[int, Field(ge=1, description="The first turn, from 1.")] = 1,
        turns: Annotated[int, Field(ge=1, le=50, description="How many turns.")] = 10,
        calls: Annotated[bool, Field(description="With calls of models and tools.")] = True,
        max_characters: Characters = 2_000,
    ) -> dict[str, Any]:
        """Read a conversation, some turns at a time: what was said, and what was done for it.

        `next_turn` is where to go on. A text that was cut says how many characters were left out;
        a greater `max_characters` returns more of it. Of a turn with very many calls, those that
        failed and the first ones are returned; `calls_left_out` says how many are not.
        """
        with self._reading.store() as store:
            session = find(store, session_id)
            causes = {it.cause_id for it in (session.first_bad_turn, session.worst_turn) if it}
            first = from_turn - 1
            shown = [
                turn_data(turn, number, max_characters, calls=calls, causes=causes)
                for number, turn in enumerate(session.turns[first : first + turns], from_turn)
            ]
            following = from_turn + len(shown)
            return {
                "session": session_brief(session),
                "turns": shown,
                "next_turn": following if following <= len(session.turns) else None,
            } | what_is_missing(store)

    def first_bad_turn(
        self, session_id: SessionId, *, max_characters: Characters = 2_000
    ) -> dict[str, Any]:
        """Find where a conversation breaks: the first bad turn, its words, the call that caused it.

        Returns that turn and the one before it. `first_bad_turn` is null where no turn is bad.
        """
        with self._reading.store() as store:
            session = find(store, session_id)
            bad = session.first_bad_turn
            data: dict[str, Any] = {
                "session": session_brief(session),
                "first_bad_turn": bad_turn_data(bad),
                "worst_turn": bad_turn_data(session.worst_turn),
            }
            if bad is not None:
                data |= _around(session, bad, max_characters)
            return data | what_is_missing(store)

    def users(
        self,
        *,
        order_by: Literal["last", "sessions", "turns", "cost", "errors"] = "last",
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """List the users with the figures of all their sessions."""
        key = {"last": "last_ns"}.get(order_by, order_by)
        with self._reading.store() as store:
            rows = sorted(store.users(), key=lambda row: row[key] or 0, reverse=True)
            shown = [
                {
                    **{name: it for name, it in row.items() if not name.endswith("_ns")},
                    "first": moment(row["first_ns"]),
                    "last": moment(row["last_ns"]),
                }
                for row in islice(rows, limit)
            ]
            return {"users": shown, "left_out": max(0, len(rows) - limit)} | what_is_missing(store)

    def evaluations(
        self,
        session_id: SessionId,
        *,
        history: Annotated[bool, Field(description="Also what was replaced.")] = False,
    ) -> dict[str, Any]:
        """Read what people, models and programs said about a conversation and its turns.

        It is `stale` where the conversation has gone on since a model or a program judged it.
        """
        with self._reading.store() as store:
            session = find(store, session_id)
            read = results.history if history else results.current
            found = [
                {
                    "name": it.name,
                    "score": it.score,
                    "label": it.label,
                    "explanation": cut(it.explanation or "", _MAX_EXPLANATION),
                    "by": it.annotator_kind,
                    "identifier": it.identifier,
                    "version": it.version,
                    "stale": _is_stale(store, it),
                    "trace_id": it.trace_id.hex() if it.trace_id else None,
                    "span_id": it.span_id.hex() if it.span_id else None,
                    "made": moment(it.made) if it.made else None,
                }
                for it in read(store, session_id=session.id)
            ]
            return {"session": session.id, "outcome": session.outcome, "evaluations": found}

    def metrics(
        self,
        *,
        name: Annotated[str | None, Field(description="One of `known`.")] = None,
        by: Annotated[
            str | None,
            Field(description="user, model, framework, tool, tag, day, metadata.KEY, session."),
        ] = None,
        since: Time = None,
        until: Time = None,
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """Return a metric, over all conversations or by group; without a name, which there are.

        Each figure has the number of sessions behind it and an interval in which it is with 95 %.
        """
        if name is None:
            return {"known": {it.name: it.expression for it in metrics().values()}}
        with self._reading.store() as store:
            data = figures(
                store,
                name,
                by=by,
                since=moment_of(since) if since else None,
                until=moment_of(until) if until else None,
            ).to_data()
            groups = data["groups"]
            left = {"groups_left_out": len(groups) - limit} if len(groups) > limit else {}
            some = groups[-limit:] if by == "day" else groups[:limit]  # The last days.
            return {**data, "groups": some, **left} | what_is_missing(store)


def _page(found: Sequence[Session], limit: int) -> dict[str, Any]:
    """Return the figures of the sessions, and where the next page begins if there may be one."""
    more = found[-1].id if len(found) == limit else None
    return {"sessions": list(map(session_brief, found)), "next": more}


def _is_stale(store: "Conversations", it: Evaluation) -> bool:
    """Whether spans came after those that a model or a program had judged."""
    if it.annotator_kind == "HUMAN" or it.seen is None:
        return False
    query, target = (
        ("SELECT last_span AS last FROM session WHERE session_id = ?", it.session_id)
        if it.trace_id is None
        else (_LAST_OF_TRACE[isinstance(store, SessionStore)], it.trace_id)
    )
    return any((row["last"] or 0) > it.seen for row in store.sql(query, (target,)))


def _around(session: Session, bad: BadTurn, most: int) -> dict[str, Any]:
    """Return the bad turn, the one before it, and the call that caused it."""
    first = max(0, bad.turn - 2)
    turns = session.turns[first : bad.turn]
    data: dict[str, Any] = {
        "turns": [
            turn_data(turn, number, most, calls=False)
            for number, turn in enumerate(turns, first + 1)
        ]
    }
    for turn in turns:
        for call in turn.calls:
            if call.span_id == bad.cause_id:
                data["cause"] = call_data(call, turn, most)
    return data
