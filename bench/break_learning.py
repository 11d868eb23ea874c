"""Learns the weights of friction from labelled conversations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from bench.break_figures import Judged, best_threshold
from bench.dialogues import Dialogue, Label
from bench.logistic import Prior, calibrate, fit
from clew.sessions.signals.conversation import read
from clew.sessions.signals.evidence import (
    OF_ANSWER,
    OF_USER,
    Evidence,
    by_turn,
    of_answers,
    of_users,
)
from clew.sessions.signals.signals import findings
from clew.sessions.signals.weights import Weights

SIDES = ("user", "answer")
_FREE = (
    "length",
    "first",
    "later",
    "asks",
    "user.asks",
    "user.length",
    "silent",
    "one_word",
    "few_words",
    "many_words",
    "exclaims",
    "after.short",
    "after.asks",
    "asks_instead",
)
_AGAINST_FRICTION = (
    "earlier_pleased",
    "count_pleased",
    "density_pleased",
    "shared",
    "declines_asked",
    "declines_asks",
)
_MEANS: Mapping[str, Mapping[str, float]] = {
    "user": {
        "wants_human": 3.0,
        "gives_up": 1.5,
        "complains": 2.25,
        "corrects": 1.5,
        "user_repeats": 1.5,
        "puzzled": 1.0,
        "declines": 1.0,
        "shouts": 0.75,
        "complains.weak": 0.6,
        "user_repeats.weak": 0.6,
        "before.refusal": 0.75,
        "before.apology": 0.45,
        "before.assistant_repeats": 1.0,
        "before.no_answer": 1.0,
        "before.other_language": 1.0,
        "before.asks_back": 0.45,
        "pleased": -1.0,
    },
    "answer": {
        "refusal": 0.7,
        "apology": 0.3,
        "asks_back": 0.3,
        "assistant_repeats": 1.0,
        "no_answer": 2.0,
        "offensive": 1.0,
        "other_language": 1.5,
        "unrelated.weak": 0.2,
        "after.complains": 1.0,
        "after.corrects": 1.0,
        "after.wants_human": 1.0,
        "after.gives_up": 0.7,
        "after.user_repeats": 0.7,
        "after.puzzled": 0.7,
        "after.pleased": -0.5,
    },
}
"""What is assumed where the data has few of something: nobody in it asks for a human, say."""
_LEAST: Mapping[str, Mapping[str, float]] = {
    "user": {
        "wants_human": 2.25,
        "gives_up": 1.0,
        "complains": 1.5,
        "corrects": 1.0,
        "user_repeats": 1.0,
        "first": -0.5,
    },
    "answer": {"assistant_repeats": 0.5, "no_answer": 1.0, "other_language": 0.7},
}
"""What a weight is at least: where people talk about films, they complain about films.

And they begin with a greeting; elsewhere the first thing said may be that they want a human.
"""
_STRENGTH: Mapping[str, float] = {"user": 1.0, "answer": 3.0}
"""How strong the assumptions are: much more is labelled for users than for answers."""
_BY_DEGREE: Mapping[str, bool] = {"user": False, "answer": True}
"""Whether it is learnt how bad turns are, or only which: of few turns, the degree says more."""


@dataclass(slots=True)
class Example:
    """The evidence for what people said about a turn."""

    label: Label
    evidence: Evidence


def examples(dialogue: Dialogue) -> list[Example]:
    """Return the evidence for each label of a conversation."""
    conversation = read(dialogue.turns)
    several = by_turn(conversation, findings(conversation))
    of_side = {
        "user": of_users(conversation, several),
        "answer": of_answers(conversation, several),
    }
    return [Example(it, of_side[it.side][it.turn]) for it in dialogue.labels]


def learn(side: str, several: Sequence[Example]) -> Weights:
    """Return the weights that fit best, as probabilities, with the best threshold."""
    priors = _priors(side)
    rows = [it.evidence for it in several]
    truths = [it.label.bad for it in several]
    by_degree = _BY_DEGREE[side]
    targets = [it.label.soft if by_degree else float(it.label.bad) for it in several]
    found, bias = fit(rows, targets, priors, _STRENGTH[side])
    sums = [bias + sum(found[name] * value for name, value in row.items()) for row in rows]
    factor, offset = calibrate(sums, truths)
    scaled = {name: round(factor * value, 3) for name, value in found.items()}
    raw = Weights(round(factor * bias + offset, 3), 0.5, {k: v for k, v in scaled.items() if v})
    threshold = best_threshold([raw.likely(row) for row in rows], truths)
    return Weights(raw.bias, threshold, raw.weights)


def judged(several: Sequence[Example], weights: Weights) -> Judged:
    """Return one conversation with what the weights say about it."""
    return Judged([it.label for it in several], [weights.likely(it.evidence) for it in several])


def _priors(side: str) -> dict[str, Prior]:
    groups = {
        "user": (("", OF_USER), ("answer.", OF_ANSWER), ("before.", OF_ANSWER)),
        "answer": (("", OF_ANSWER), ("user.", OF_USER), ("after.", OF_USER)),
    }[side]
    names = [
        f"{prefix}{name}{weak}"
        for prefix, some in groups
        for name in some
        for weak in ("", ".weak")
    ]
    names += [
        "earlier_against",
        "share_against",
        "count_against",
        "density_against",
        "denies",
        "density_denies",
        *_AGAINST_FRICTION,
    ]
    means = _MEANS[side]
    found = {}
    for name in dict.fromkeys(names):
        against = name in _AGAINST_FRICTION or name.removesuffix(".weak").endswith("pleased")
        mean = means.get(name, 0.0)
        found[name] = (
            Prior(mean, most=0.0) if against else Prior(mean, least=_LEAST[side].get(name, 0.0))
        )
    return found | {name: Prior(least=_LEAST[side].get(name, -inf)) for name in _FREE}
