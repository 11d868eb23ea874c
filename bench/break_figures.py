"""Figures of how well bad turns are found: AUC, average precision, first guesses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.dialogues import Label


def auc(scores: Sequence[float], truths: Sequence[bool]) -> float | None:
    """Return how often a bad one scores higher than a good one; ties count a half."""
    bad = sum(truths)
    good = len(truths) - bad
    if not bad or not good:
        return None
    ordered = sorted(zip(scores, truths, strict=True))
    ranks, at = 0.0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        ranks += sum(truth for _, truth in ordered[at:end]) * (at + end + 1) / 2
        at = end
    return (ranks - bad * (bad + 1) / 2) / (bad * good)


def average_precision(scores: Sequence[float], truths: Sequence[bool]) -> float | None:
    """Return the mean precision over the recalls; equal scores are taken together."""
    bad = sum(truths)
    if not bad:
        return None
    ordered = sorted(zip(scores, truths, strict=True), key=lambda it: -it[0])
    hits = seen = at = 0
    total = 0.0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        new = sum(truth for _, truth in ordered[at:end])
        hits, seen = hits + new, seen + end - at
        total += new * hits / seen
        at = end
    return total / bad


def best_threshold(scores: Sequence[float], truths: Sequence[bool]) -> float:
    """Return the best threshold, of a hundred, where precision counts twice as much as recall."""

    def goodness(threshold: float) -> float:
        precision, recall, _ = _f1(scores, truths, threshold)
        return 1.25 * precision * recall / max(1e-9, 0.25 * precision + recall)

    return max((it / 100 for it in range(5, 96)), key=goodness)


def _f1(
    scores: Sequence[float], truths: Sequence[bool], threshold: float
) -> tuple[float, float, float]:
    called = sum(it >= threshold for it in scores)
    right = sum(it >= threshold and truth for it, truth in zip(scores, truths, strict=True))
    precision, recall = right / max(1, called), right / max(1, sum(truths))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


@dataclass(slots=True)
class Judged:
    """The labels of one conversation, and what is told about each of them."""

    labels: list[Label]
    scores: list[float]


def figures(several: Sequence[Judged], threshold: float) -> dict[str, Any]:
    """Return the figures of a set."""
    scores = [score for it in several for score in it.scores]
    truths = [label.bad for it in several for label in it.labels]
    precision, recall, f1 = _f1(scores, truths, threshold)
    broken = [it for it in several if any(label.bad for label in it.labels)]
    first = within = chance = chance_within = 0.0
    for it in broken:
        guess = max(range(len(it.scores)), key=it.scores.__getitem__)
        worst = max(label.degree for label in it.labels)
        targets = [at for at, label in enumerate(it.labels) if label.degree == worst]
        near = {at + step for at in targets for step in (-1, 0, 1)} & set(range(len(it.labels)))
        first += guess in targets
        within += guess in near
        chance += len(targets) / len(it.labels)
        chance_within += len(near) / len(it.labels)
    count = max(1, len(broken))
    found = {
        "turns": len(truths),
        "bad_turns": sum(truths),
        "conversations": len(several),
        "bad_conversations": len(broken),
        "auc_turn": auc(scores, truths),
        "ap_turn": average_precision(scores, truths),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "first_guess": first / count,
        "first_guess_by_chance": chance / count,
        "within_one": within / count,
        "within_one_by_chance": chance_within / count,
        "auc_conversation": auc(
            [max(it.scores) for it in several],
            [any(label.bad for label in it.labels) for it in several],
        ),
    }
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in found.items()
    }
