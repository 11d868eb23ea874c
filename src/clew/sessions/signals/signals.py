"""SIGNALS: all signals, and ``findings``, which asks each of them."""

from collections.abc import Callable, Iterator, Mapping

from clew.sessions.signals import (
    apology,
    asks_back,
    assistant_repeats,
    complains,
    content_filter,
    corrects,
    dear,
    declines,
    error,
    gives_up,
    no_answer,
    offensive,
    open_question,
    other_language,
    pleased,
    puzzled,
    refusal,
    shouts,
    slow,
    tool_error,
    tool_loop,
    unrelated,
    user_repeats,
    wants_human,
)
from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding

SIGNALS: Mapping[str, Callable[[Conversation], Iterator[TurnFinding]]] = {
    it.__name__.rpartition(".")[2]: it.find
    for it in (
        complains,
        corrects,
        declines,
        gives_up,
        pleased,
        puzzled,
        shouts,
        user_repeats,
        wants_human,
        apology,
        asks_back,
        assistant_repeats,
        offensive,
        open_question,
        other_language,
        refusal,
        unrelated,
        content_filter,
        dear,
        error,
        no_answer,
        slow,
        tool_error,
        tool_loop,
    )
}


def findings(conversation: Conversation) -> list[TurnFinding]:
    """Return what all signals have noticed, in the order of the turns."""
    found = [it for find in SIGNALS.values() for it in find(conversation)]
    return sorted(found, key=lambda it: it.turn)
