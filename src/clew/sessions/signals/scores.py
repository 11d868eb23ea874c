"""scores: how likely the user is annoyed and how likely something failed, in each turn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clew.sessions.model import Turn
from clew.sessions.signals.conversation import Conversation, read
from clew.sessions.signals.evidence import Scores, by_turn, of_answers, of_users
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.signals import findings
from clew.sessions.signals.usual import Usual
from clew.sessions.signals.weights import weights


@dataclass(frozen=True, slots=True)
class TurnScores:
    """What is told about one turn."""

    friction: float
    """How likely the user is annoyed in what they say in this turn, from 0 to 1."""
    answer: float
    """How likely the answer of this turn annoys whoever reads it, from 0 to 1."""
    failure: float
    """How likely something went technically wrong in this turn, from 0 to 1."""
    findings: tuple[TurnFinding, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """Where a conversation breaks."""

    turn: int
    """The turn that is bad."""
    kind: Literal["friction", "failure"]
    score: float
    span_id: bytes
    """The call that failed; or the one that gave the answer about which the user is annoyed."""
    cause_id: bytes
    """Where a tool failed: the model call before it, which asked for it. Else the same span."""
    findings: tuple[TurnFinding, ...]


@dataclass(frozen=True, slots=True)
class ConversationScores:
    """What is told about a conversation."""

    turns: tuple[TurnScores, ...]
    friction: float
    """That of the worst turn."""
    failure: float
    """That of the worst turn."""
    first_bad: Break | None
    """The first bad turn, by friction or failure; None if no turn is bad."""
    worst_friction: Break | None
    worst_failure: Break | None
    outcome: Literal["unknown"] = "unknown"
    """Whether the user got what they wanted: no rule can know."""


def scores(turns: Iterable[Turn], usual: Usual | None = None) -> ConversationScores:
    """Return what can be told about the turns of one conversation, given in their order.

    *usual* is what turns of the application usually take and cost.
    """
    conversation = read(turns, usual)
    found = findings(conversation)
    several = by_turn(conversation, found)
    of_turns: list[list[TurnFinding]] = [[] for _ in several]
    for it in found:
        of_turns[it.turn].append(it)
    used = weights()
    turn_scores = tuple(
        TurnScores(
            used.user.likely(user) if exchange.user.words else 0.0,
            used.answer.likely(answer) if exchange.assistant.words else 0.0,
            _failure(turn, used.failure),
            tuple(noticed),
        )
        for exchange, turn, user, answer, noticed in zip(
            conversation.exchanges,
            several,
            of_users(conversation, several),
            of_answers(conversation, several),
            of_turns,
            strict=True,
        )
    )
    annoyed = [
        _annoyed(conversation, index, turn_scores)
        for index, it in enumerate(turn_scores)
        if it.friction >= used.user.threshold
    ]
    failed = [
        _failed(conversation.exchanges[index].turn, index, it, used.failure)
        for index, it in enumerate(turn_scores)
        if it.failure >= used.failure_threshold
    ]
    return ConversationScores(
        turn_scores,
        max((it.friction for it in turn_scores), default=0.0),
        max((it.failure for it in turn_scores), default=0.0),
        min([*failed, *annoyed], key=lambda it: it.turn, default=None),
        max(annoyed, key=lambda it: it.score, default=None),
        max(failed, key=lambda it: it.score, default=None),
    )


def _failure(turn: Scores, of_signals: Mapping[str, float]) -> float:
    """Return how likely at least one of the findings is right, were they independent."""
    none = 1.0
    for name, weight in of_signals.items():
        none *= 1 - weight * turn.get(name, 0.0)
    return 1 - none


def _annoyed(conversation: Conversation, index: int, turns: Sequence[TurnScores]) -> Break:
    """Return the turn with the span of the answer before it: that is what annoys."""
    at = conversation.exchanges[max(0, index - 1)]
    span = at.answering if index else at.turn.root_id
    return Break(index, "friction", turns[index].friction, span, span, turns[index].findings)


def _failed(turn: Turn, index: int, told: TurnScores, of_signals: Mapping[str, float]) -> Break:
    noticed = tuple(it for it in told.findings if it.name in of_signals)
    span = max(noticed, key=lambda it: it.score * of_signals[it.name]).span_id
    return Break(index, "failure", told.failure, span, _asked_by(turn, span), noticed)


def _asked_by(turn: Turn, span: bytes) -> bytes:
    """Return the model call that ended last before a tool's call, in the same agent if possible."""
    call = next((it for it in turn.calls if it.span_id == span and it.kind == "tool"), None)
    if call is None:
        return span
    before = [it for it in turn.calls if it.kind == "model" and it.end <= call.start]
    before = [it for it in before if it.parent_id == call.parent_id] or before
    return max(before, key=lambda it: it.end).span_id if before else span
