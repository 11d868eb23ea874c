"""open_question: the conversation ends with a question that nobody has answered."""

from collections.abc import Iterator

from clew.sessions.signals.conversation import Conversation
from clew.sessions.signals.finding import TurnFinding, shortened


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the last turn, if the assistant asks something in it, or does not answer a question."""
    if not conversation.exchanges:
        return
    last = conversation.exchanges[-1]
    if last.assistant.asks:
        words = shortened(last.turn.output.text[-200:])
        yield TurnFinding(last.index, "open_question", 0.5, last.answering, words)
    elif last.user.asks and not last.turn.output.text.strip():
        words = shortened(last.turn.input.text[-200:])
        yield TurnFinding(last.index, "open_question", 1.0, last.turn.root_id, words)
