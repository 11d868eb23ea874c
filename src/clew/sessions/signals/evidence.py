"""of_users, of_answers: the numbers that friction is told from, one mapping for each turn.

They are the scores of signals, strong and weak ones apart because a weak phrase may say something
else; what the answer before and the turn after it say; and a few plain measures.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log1p

from clew.sessions.signals.conversation import Conversation, Exchange
from clew.sessions.signals.finding import TurnFinding
from clew.sessions.signals.likeness import shared
from clew.sessions.signals.phrases import Hit

Evidence = dict[str, float]
Scores = dict[str, float]
"""The strongest finding of each signal in a turn."""

OF_USER = (
    "complains",
    "corrects",
    "declines",
    "gives_up",
    "pleased",
    "puzzled",
    "shouts",
    "user_repeats",
    "wants_human",
)
OF_ANSWER = (
    "apology",
    "asks_back",
    "assistant_repeats",
    "no_answer",
    "offensive",
    "other_language",
    "refusal",
    "unrelated",
)
_AGAINST = frozenset({"complains", "corrects", "declines", "puzzled", "user_repeats"})
_DECAY = 0.6
"""How much of what was said counts a turn later."""
_STRONG = 0.75
_FIRST_WORDS = 3
_FEW_WORDS, _MANY_WORDS = 3, 25
_MAX_TURNS = 20
_SCALE = 3.0
"""Logarithms of lengths and positions are divided by it: then they are as large as scores."""


def by_turn(conversation: Conversation, found: Iterable[TurnFinding]) -> list[Scores]:
    """Return the strongest finding of each signal, for each turn."""
    several: list[Scores] = [{} for _ in conversation.exchanges]
    for it in found:
        scores = several[it.turn]
        scores[it.name] = max(it.score, scores.get(it.name, 0.0))
    return several


def of_users(conversation: Conversation, several: Sequence[Scores]) -> list[Evidence]:
    """Return for each turn what tells whether the user is annoyed in it."""
    found: list[Evidence] = []
    earlier = pleased = sum_against = 0.0
    for exchange, scores in zip(conversation.exchanges, several, strict=True):
        index = exchange.index
        evidence = _named(scores, OF_USER) | _named(scores, OF_ANSWER, "answer.")
        evidence["earlier_against"] = earlier
        evidence["earlier_pleased"] = pleased
        evidence["share_against"] = sum_against / (1 + index)
        asked = False
        if index:
            evidence |= _named(several[index - 1], OF_ANSWER, "before.")
            asked = conversation.exchanges[index - 1].assistant.asks
        _measure_user(exchange, evidence)
        if scores.get("declines", 0.0) >= _STRONG:  # A "no" may be just the answer to a question.
            evidence["declines_asked"] = float(asked)
            evidence["declines_asks"] = float(exchange.user.asks)
        found.append(evidence)
        earlier = _DECAY * (earlier + _against(scores))
        pleased = _DECAY * (pleased + scores.get("pleased", 0.0))
        sum_against += _against(scores)
    return found


def of_answers(conversation: Conversation, several: Sequence[Scores]) -> list[Evidence]:
    """Return for each turn what tells whether its answer annoys whoever reads it."""
    found: list[Evidence] = []
    earlier = 0.0
    exchanges = conversation.exchanges
    for exchange, scores in zip(exchanges, several, strict=True):
        evidence = _named(scores, OF_ANSWER) | _named(scores, OF_USER, "user.")
        evidence["earlier_against"] = earlier
        _measure_answer(exchange, evidence)
        if exchange.index + 1 < len(exchanges):
            after = exchanges[exchange.index + 1]
            evidence |= _named(several[after.index], OF_USER, "after.")
            evidence["after.short"] = 1 / (1 + after.user.words)
            evidence["after.asks"] = float(after.user.asks)
        found.append(evidence)
        earlier = _DECAY * (earlier + _against(scores))
    return found


def _against(scores: Mapping[str, float]) -> float:
    return max((scores.get(it, 0.0) for it in _AGAINST), default=0.0)


def _named(scores: Mapping[str, float], names: Iterable[str], prefix: str = "") -> Evidence:
    found: Evidence = {}
    for name in names:
        score = scores.get(name, 0.0)
        if score >= _STRONG:
            found[f"{prefix}{name}"] = score
        elif score:
            found[f"{prefix}{name}.weak"] = 1.0
    return found


def _measure_user(exchange: Exchange, evidence: Evidence) -> None:
    user = exchange.user
    against = sum(it.score for it in user.hits if it.name in _AGAINST)
    pleased = sum(it.score for it in user.hits if it.name == "pleased")
    evidence["count_against"] = log1p(against)
    evidence["count_pleased"] = log1p(pleased)
    evidence["density_against"] = against / (_SCALE + user.words)
    evidence["density_pleased"] = pleased / (_SCALE + user.words)
    denied = sum(it.name == "denies" for it in user.hits)
    evidence["denies"] = float(denied > 0)
    # "No, the other one" rejects an answer; a "not" further on may be about anything.
    evidence["denies_first"] = float(any(map(_begins_with_denial, user.hits)))
    evidence["density_denies"] = denied / (_SCALE + user.words)
    evidence["silent"] = float(not user.words)
    # "Ok" and "no" are said in all moods; whoever tells a story is seldom annoyed.
    evidence["one_word"] = float(user.words == 1)
    evidence["few_words"] = float(1 < user.words <= _FEW_WORDS)
    evidence["many_words"] = float(user.words > _MANY_WORDS)
    if not against:  # Then it is rather joy than anger.
        evidence["exclaims"] = float(any(it[-1] == "!" for it in user.sentences))
    evidence["asks"] = float(user.asks)
    _measure(exchange, user.words, evidence)


def _begins_with_denial(hit: Hit) -> bool:
    return hit.name == "denies" and hit.sentence == 0 and hit.at < _FIRST_WORDS


def _measure_answer(exchange: Exchange, evidence: Evidence) -> None:
    answer, user = exchange.assistant, exchange.user
    evidence["asks"] = float(answer.asks)
    evidence["user.asks"] = float(user.asks)
    evidence["asks_instead"] = float(user.asks and answer.asks)
    evidence["user.length"] = log1p(user.words) / _SCALE
    evidence["shared"] = shared(answer, user)
    _measure(exchange, answer.words, evidence)


def _measure(exchange: Exchange, words: int, evidence: Evidence) -> None:
    evidence["length"] = log1p(words) / _SCALE
    evidence["first"] = float(exchange.index == 0)
    evidence["later"] = log1p(min(exchange.index, _MAX_TURNS)) / _SCALE
