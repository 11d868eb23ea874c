"""Intervals: known values, and how often they contain the truth."""

from math import exp
from random import Random

import pytest

from clew.evaluations.metrics.columns import Rows
from clew.evaluations.metrics.estimates import Calculation, weight_of_average
from clew.evaluations.metrics.intervals import (
    Sample,
    of_difference,
    of_mean,
    of_share,
    of_shares,
    student,
)
from clew.evaluations.metrics.nodes import Aggregate, Call, Field

RATIO = Call("/", (Aggregate("sum", Field("cost")), Aggregate("sum", Field("resolved", "score"))))
TIMES = 1500


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (9, 2.26216), (29, 2.04523), (1000, 1.96234)],
)
def test_students_quantile(freedom, quantile):
    assert student(freedom) == pytest.approx(quantile, abs=1e-5)
    assert student(1e9) == pytest.approx(1.959964, abs=1e-6)


def test_wilsons_interval():
    assert of_share(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    assert of_share(0, 10) == pytest.approx((0.0, 0.27754), abs=1e-5)
    assert of_share(10, 10) == pytest.approx((0.72246, 1.0), abs=1e-5)


def test_newcombes_interval():
    """The example of his paper of 1998: 56 of 70 and 48 of 80."""
    low, high = of_shares((48, 80), (56, 70))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_welchs_interval():
    """With variances 2.5 and 14 it has 6.97 degrees of freedom, and 2.366 errors of 1.683."""
    first, second = Sample.of([1, 2, 3, 4, 5]), Sample.of([2, 4, 6, 8, 10, 12])
    low, high = of_difference(first, second, 7 - 3)
    assert (low, high) == pytest.approx((0.0165, 7.9835), abs=1e-4)


def test_welchs_interval_of_great_numbers():
    first, second = ([it * 1e90 for it in range(1, 6)], [it * 2e90 for it in range(1, 7)])
    low, high = of_difference(Sample.of(first), Sample.of(second), 4e90)
    assert (low, high) == pytest.approx((0.0165e90, 7.9835e90), rel=3e-3)


def test_where_all_are_equal_the_spread_is_not_known():
    same = Sample.of([0.3] * 7)
    assert of_mean(same, same.mean) is None
    assert of_difference(Sample.of([0, 0, 0]), Sample.of([1, 1, 1]), 1) is None
    assert of_difference(Sample.of([0] * 4), Sample.of([1] * 4), 1) == (1, 1)
    assert Sample.of([1.0]) is None


def test_the_order_of_the_sessions_does_not_matter():
    random = Random(1)
    values = [random.lognormvariate(0, 2) for _ in range(500)]
    samples = {Sample.of(random.sample(values, len(values))) for _ in range(20)}
    assert len(samples) == 1


def covered(draw, truth, number, random, interval=of_mean):
    """Return how often of so many samples the interval contains the *truth*."""
    found = 0
    for _ in range(TIMES):
        sample = Sample.of([draw(random) for _ in range(number)])
        low, high = interval(sample, sample.mean)
        found += low <= truth <= high
    return found / TIMES


@pytest.mark.parametrize(
    ("name", "draw", "truth", "number", "least"),
    [
        ("normal", lambda it: it.gauss(1, 1), 1, 5, 0.935),
        ("normal", lambda it: it.gauss(1, 1), 1, 50, 0.935),
        ("uniform", lambda it: it.random(), 0.5, 20, 0.935),
        ("like friction", lambda it: it.betavariate(0.5, 3), 0.5 / 3.5, 10, 0.925),
        ("like friction", lambda it: it.betavariate(0.5, 3), 0.5 / 3.5, 50, 0.935),
        ("like latency", lambda it: it.expovariate(1), 1, 10, 0.91),
        ("like latency", lambda it: it.expovariate(1), 1, 50, 0.925),
        ("like cost", lambda it: it.lognormvariate(0, 1), exp(0.5), 20, 0.90),
        ("like cost", lambda it: it.lognormvariate(0, 1), exp(0.5), 200, 0.925),
    ],
)
def test_the_interval_of_a_mean_contains_it_95_times_of_100(name, draw, truth, number, least):
    """The limits are the documented ones less the error of this simulation."""
    assert least <= covered(draw, truth, number, Random(7)) <= 0.985, name


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
@pytest.mark.parametrize("number", [20, 200])
def test_the_interval_of_a_share_does(share, number):
    random, found = Random(3), 0
    for _ in range(TIMES):
        low, high = of_share(sum(random.random() < share for _ in range(number)), number)
        found += low <= share <= high
    assert 0.92 <= found / TIMES <= 0.99


@pytest.mark.parametrize("number", [30, 200])
def test_the_interval_of_a_ratio_does(number):
    """Cost per resolved session: the sessions that cost more are resolved more rarely."""
    random, found, times = Random(5), 0, 500
    fields = (Field("cost"), Field("resolved", "score"))
    for _ in range(times):
        rows = {}
        for session in range(number):
            hard = random.random() < 0.3
            cost = random.expovariate(1) * (3 if hard else 1)
            rows[str(session)] = (cost, float(random.random() < (0.4 if hard else 0.9)))
        low, high = Calculation(Rows(RATIO, fields, rows, {})).of(rows).interval
        found += low <= (0.7 + 0.3 * 3) / (0.7 * 0.9 + 0.3 * 0.4) <= high
    assert 0.92 <= found / times <= 0.985


@pytest.mark.parametrize(("first", "second"), [(20, 20), (10, 60)])
def test_the_interval_of_a_difference_does(first, second):
    random, found = Random(11), 0
    for _ in range(TIMES):
        one = Sample.of([random.betavariate(0.5, 3) for _ in range(first)])
        other = Sample.of([random.betavariate(1, 3) for _ in range(second)])
        low, high = of_difference(one, other, other.mean - one.mean)
        found += low <= 0.25 - 0.5 / 3.5 <= high
    assert 0.915 <= found / TIMES <= 0.98


def test_the_interval_of_a_difference_of_shares_does():
    random, found = Random(13), 0
    for _ in range(TIMES):
        one = sum(random.random() < 0.1 for _ in range(40))
        other = sum(random.random() < 0.3 for _ in range(25))
        low, high = of_shares((one, 40), (other, 25))
        found += low <= 0.3 - 0.1 <= high
    assert 0.93 <= found / TIMES <= 0.985


def test_the_less_groups_differ_the_more_sessions_a_group_needs():
    """Where all are alike, a figure of one's own says nothing about a group."""
    random = Random(17)

    def weight(spread):
        values, groups = {}, []
        for user in range(60):
            own = random.gauss(0, spread)
            groups.append([f"{user}/{it}" for it in range(random.randint(1, 30))])
            values |= {it: random.gauss(own, 1) for it in groups[-1]}
        return weight_of_average(values, groups)

    assert weight(5) == 5.0  # At least.
    assert 15 < weight(0.2) < 60  # 1 / 0.2 ** 2 is 25.
    assert weight(0.0) > 100
