"""open_question: the conversation ends with a question that nobody has answered."""

from collections.abc import Iterator

from clew.evaluations.signals.conversation import Conversation
from clew.evaluations.signals.finding import Finding, shortened


def find(conversation: Conversation) -> Iterator[Finding]:
    """Yield the last turn, if the assistant asks something in it, or does not answer a question."""
    if not conversation.exchanges:
        return
    last = conversation.exchanges[-1]
    if last.assistant.asks:
        words = shortened(last.turn.output.text[-200:])
        yield Finding(last.index, "open_question", 0.5, last.answering, words)
    elif last.user.asks and not last.turn.output.text.strip():
        words = shortened(last.turn.input.text[-200:])
        yield Finding(last.index, "open_question", 1.0, last.turn.root_id, words)
