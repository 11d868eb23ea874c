"""weights: how much each piece of evidence counts, from ``weights.toml``, read once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path

PATH = Path(__file__).with_name("weights.toml")
_LARGE = 30.0


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression: how likely something is, given evidence."""

    bias: float
    threshold: float
    """From here on it is called bad: the best one if precision counts twice as much as recall."""
    weights: Mapping[str, float]

    def likely(self, evidence: Mapping[str, float]) -> float:
        """Return how likely it is, from 0 to 1."""
        weights = self.weights
        total = self.bias
        for name, value in evidence.items():
            total += weights.get(name, 0.0) * value
        return 1 / (1 + exp(-max(-_LARGE, min(_LARGE, total))))


@dataclass(frozen=True, slots=True)
class AllWeights:
    """What ``weights.toml`` says."""

    user: Weights
    answer: Weights
    failure: Mapping[str, float]
    failure_threshold: float


@cache
def weights() -> AllWeights:
    """Return the weights that clew comes with."""
    said = tomllib.loads(PATH.read_text("utf-8"))
    failure = said["failure"]
    return AllWeights(
        Weights(**said["user"]), Weights(**said["answer"]), failure["weights"], failure["threshold"]
    )
