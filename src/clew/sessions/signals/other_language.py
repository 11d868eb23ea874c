"""other_language: the assistant answers in another language than the user's."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation, Exchange
from clew.sessions.signals.finding import TurnFinding, shortened

_MIN_WORDS = 4


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns with an answer in another language, unless the user speaks of languages."""
    about_languages = False
    user = ""
    for it in conversation.exchanges:
        about_languages = about_languages or _speaks_of_languages(it)
        user = it.user.language or user
        answer = it.assistant.language
        differs = user and answer and user != answer and it.assistant.words >= _MIN_WORDS
        if differs and not about_languages:
            words = shortened(it.turn.output.text)
            yield TurnFinding(it.index, "other_language", 1.0, it.answering, words)


def _speaks_of_languages(exchange: Exchange) -> bool:
    return exchange.user.strongest("languages") is not None
