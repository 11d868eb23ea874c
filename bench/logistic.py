"""Logistic regression in plain Python: few numbers, sparse rows, the same result each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Prior:
    """What is assumed of a weight before data: its mean, and limits that it cannot leave."""

    mean: float = 0.0
    least: float = -inf
    most: float = inf


def logistic(value: float) -> float:
    """Return the probability for a sum of weights."""
    return 1 / (1 + exp(-max(-30.0, min(30.0, value))))


def fit(
    rows: Sequence[Row],
    targets: Sequence[float],
    priors: Mapping[str, Prior],
    strength: float = 1.0,
    steps: int = 150,
    rate: float = 0.08,
) -> tuple[dict[str, float], float]:
    """Return the weights and the bias that fit best, by Adam on all rows at once.

    Where data says little, a weight stays near its prior's mean; *strength* is that of the prior.
    """
    names = sorted({*priors, *(name for row in rows for name in row)})
    index = {name: at for at, name in enumerate(names)}
    sparse = [[(index[name], value) for name, value in row.items() if value] for row in rows]
    prior = [priors.get(name, Prior()) for name in names]
    count, size = len(rows), len(names)
    weights = [it.mean for it in prior]
    share = sum(targets) / count
    bias = log(share / (1 - share))
    mean, square = [0.0] * (size + 1), [0.0] * (size + 1)
    for step in range(1, steps + 1):
        slopes = [
            strength * (weight - it.mean) / count for weight, it in zip(weights, prior, strict=True)
        ]
        slopes.append(0.0)
        for row, target in zip(sparse, targets, strict=True):
            total = bias
            for at, value in row:
                total += weights[at] * value
            error = (logistic(total) - target) / count
            slopes[size] += error
            for at, value in row:
                slopes[at] += error * value
        for at, slope in enumerate(slopes):
            mean[at] = 0.9 * mean[at] + 0.1 * slope
            square[at] = 0.99 * square[at] + 0.01 * slope * slope
            move = mean[at] / (1 - 0.9**step) / (sqrt(square[at] / (1 - 0.99**step)) + 1e-9)
            if at == size:
                bias -= rate * move
                continue
            moved = weights[at] - rate * move
            weights[at] = max(prior[at].least, min(prior[at].most, moved))
    return dict(zip(names, weights, strict=True)), bias


def calibrate(sums: Sequence[float], truths: Sequence[bool]) -> tuple[float, float]:
    """Return factor and offset that make sums of weights into honest probabilities."""
    found, bias = fit(
        [{"sum": it} for it in sums], [float(it) for it in truths], {}, 0.0, 400, 0.05
    )
    return found["sum"], bias
