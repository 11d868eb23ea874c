"""likeness: how much two texts have in common."""

from clew.sessions.signals.conversation import Heard

_FEW = 4


def likeness(one: Heard, other: Heard) -> float:
    """Return how alike two texts are, from 0 to 1 for the same words.

    Texts of few words are alike only if one has all words of the other: "about Berlin" and "about
    Paris" are not.
    """
    if one.words > 1 and one.sentences == other.sentences:
        return 1.0
    shorter = min(len(one.content), len(other.content))
    if shorter <= 1 or (shorter < _FEW and len(one.content & other.content) < shorter):
        return 0.0
    return len(one.content & other.content) / len(one.content | other.content)


def shared(one: Heard, other: Heard) -> float:
    """Return the share of the shorter text's words that the other one has as well."""
    shorter = min(len(one.content), len(other.content))
    return len(one.content & other.content) / shorter if shorter else 0.0
