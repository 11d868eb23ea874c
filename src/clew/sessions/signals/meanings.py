"""meanings: what has been noticed, in plain words, for those who read about a turn."""

from collections.abc import Mapping

from clew.sessions.model import BadTurn

MEANINGS: Mapping[str, str] = {
    "complains": "the user complains",
    "corrects": "the user corrects the assistant",
    "declines": "the user says no",
    "gives_up": "the user gives up",
    "pleased": "the user is pleased",
    "puzzled": "the user does not understand",
    "shouts": "the user shouts",
    "user_repeats": "the user says it again",
    "wants_human": "the user asks for a human",
    "apology": "the assistant apologises",
    "asks_back": "the assistant asks what is meant",
    "assistant_repeats": "the assistant repeats itself",
    "offensive": "the assistant is rude",
    "open_question": "the conversation ends with a question",
    "other_language": "the answer is in another language",
    "refusal": "the assistant refuses",
    "unrelated": "the answer has no word of the question",
    "content_filter": "stopped by a filter",
    "dear": "dearer than usual",
    "error": "something failed",
    "no_answer": "no answer, or only a part of one",
    "slow": "slower than usual",
    "tool_error": "a tool failed",
    "tool_loop": "the same tool again and again",
}
"""What each signal notices."""
_KINDS = {"friction": "the user is annoyed", "failure": "something failed"}


def meaning(signal: str) -> str:
    """Return what a signal notices; its name with spaces, if it is one of another release."""
    return MEANINGS.get(signal) or signal.replace("_", " ")


def why(bad: BadTurn) -> str:
    """Return why a turn is bad: its kind, and the strongest that was noticed.

    >>> why(BadTurn(5, "friction", 0.8, b"", b"", b"", b"", ("corrects",)))
    'the user is annoyed: the user corrects the assistant'
    """
    kind = _KINDS[bad.kind]
    noticed = next((it for it in map(meaning, bad.signals) if it != kind), "")
    return f"{kind}: {noticed}" if noticed else kind
