"""Intervals of 95 %: between which numbers a figure lies, had it been measured of all sessions.

They are computed without random numbers, and sums do not depend on the order of what is summed: the
same sessions give the same interval to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cbrt, exp, fsum, lgamma, log, log1p, pi, sqrt
from typing import TypeAlias

Interval: TypeAlias = tuple[float, float]
_Z = 1.959963984540054
"""What 97.5 % of a normal distribution do not exceed."""
_SYMMETRIC = 1e-4
_LEAST_IN_EACH = 4
"""Where all are equal in each of two groups: so many in each show that the groups differ. In one of
35 divisions of eight sessions into two halves, those that are equal are together by chance."""


_LEAST_SQUARES = 1e-200


@dataclass(frozen=True, slots=True)
class Sample:
    """What is needed to know of the numbers that a mean is taken of."""

    number: int
    mean: float
    variance: float
    skewness: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Sample | None":
        """Describe *values*; None if there are fewer than two."""
        number = len(values)
        if number < 2:
            return None
        mean = fsum(values) / number
        squares = fsum((it - mean) ** 2 for it in values)
        # What rounding leaves, or what has no cube.
        if squares <= max((1e-12 * abs(mean)) ** 2 * number, _LEAST_SQUARES):
            return cls(number, mean, 0.0, 0.0)
        cubes = fsum((it - mean) ** 3 for it in values)
        return cls(number, mean, squares / (number - 1), cubes / number / (squares / number) ** 1.5)


def of_mean(sample: Sample, value: float) -> Interval | None:
    """Return the interval of a mean, or of a figure with these pseudo-values, around *value*.

    It is Student's, after Hall's transformation, which moves it to where the long tail of a skewed
    distribution is. None where all values are equal: their spread is not known then.
    """
    if sample.variance == 0:
        return None
    quantile = student(sample.number - 1)
    scale = sqrt(sample.variance)
    high, low = (
        value - scale * _untransformed(side * quantile / sqrt(sample.number), sample)
        for side in (-1, 1)
    )
    return (low, high)


def _untransformed(x: float, sample: Sample) -> float:
    """Return the number that Hall's cubic transformation makes *x* of."""
    skewness = sample.skewness
    if abs(skewness) < _SYMMETRIC:
        return x
    base = 1 + skewness * (x - skewness / (6 * sample.number))
    return 3 / skewness * (cbrt(base) - 1)


def of_share(true: int, number: int) -> Interval:
    """Return Wilson's interval of a share: of so many sessions something is *true*."""
    share, z2 = true / number, _Z * _Z
    middle = (share + z2 / (2 * number)) / (1 + z2 / number)
    half = _Z / (1 + z2 / number) * sqrt(share * (1 - share) / number + z2 / (4 * number * number))
    return (0.0 if true == 0 else middle - half, 1.0 if true == number else middle + half)


def of_difference(first: Sample, second: Sample, difference: float) -> Interval | None:
    """Return Welch's interval of a *difference* between two groups, the second less the first."""
    one, other = first.variance / first.number, second.variance / second.number
    if one + other == 0:
        enough = min(first.number, second.number) >= _LEAST_IN_EACH
        return (difference, difference) if enough else None
    part = one / (one + other)  # The squares of the variances themselves may be too great.
    freedom = 1 / (part**2 / (first.number - 1) + (1 - part) ** 2 / (second.number - 1))
    half = student(freedom) * sqrt(one + other)
    return (difference - half, difference + half)


def of_shares(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """Return Newcombe's interval of the difference of two shares, the second less the first."""
    (low_1, high_1), (low_2, high_2) = of_share(*first), of_share(*second)
    one, other = first[0] / first[1], second[0] / second[1]
    difference = other - one
    return (
        difference - sqrt((other - low_2) ** 2 + (high_1 - one) ** 2),
        difference + sqrt((high_2 - other) ** 2 + (one - low_1) ** 2),
    )


@lru_cache(maxsize=4096)
def student(freedom: float) -> float:
    """Return what 97.5 % of Student's distribution with this *freedom* do not exceed."""
    if freedom > 1e7:
        return _Z
    # The share beyond it is convex here: Newton's method comes from below, and never goes back.
    quantile, last = _Z, 0.0
    front = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(freedom * pi) / 2
    while quantile > last:
        last = quantile
        density = exp(front - (freedom + 1) / 2 * log1p(quantile * quantile / freedom))
        quantile += (_beyond(quantile, freedom) - 0.05) / (2 * density)
    return last


def _beyond(quantile: float, freedom: float) -> float:
    """Return which share of Student's distribution is farther from zero than *quantile*.

    It is the regularised incomplete beta function at freedom / (freedom + quantile^2), with its
    continued fraction where that converges fast.
    """
    x, a, b = freedom / (freedom + quantile * quantile), freedom / 2, 0.5
    if x == 0:
        return 0.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued(a, b, x) / a
    return 1 - front * _continued(b, a, 1 - x) / b


def _continued(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    result = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return result
