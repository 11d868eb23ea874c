"""What files have for the value of an attribute."""

from decimal import Decimal

import pytest

from clew.store.formats.cells import MAX_DEPTH, nanoseconds, value_of
from clew.store.otlp import MalformedError


def test_what_attributes_can_have_stays_as_it_is_and_all_else_becomes_text():
    assert value_of({"a": [None, True, 1, 1.5, b"x", "x"]}) == {
        "a": (None, True, 1, 1.5, b"x", "x")
    }
    assert value_of(Decimal("1.50")) == "1.50"
    assert value_of({1: {2}}) == {"1": "{2}"}


def test_values_are_as_deep_as_they_may_be_and_no_deeper():
    nested = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert value_of(nested)
    with pytest.raises(MalformedError):
        value_of([nested])


@pytest.mark.parametrize("factor", [10**-9, 10**-6, 10**-3, 1])
def test_the_size_of_a_number_tells_the_unit_of_the_time(factor):
    at = 1_716_990_379_500_000_000
    assert nanoseconds(at * factor, "start_time") == pytest.approx(at, abs=1000)
    assert nanoseconds(round(at * factor), "start_time") == pytest.approx(at, abs=10**9)


@pytest.mark.parametrize("value", [None, True, "noon", float("nan"), float("inf")])
def test_what_is_no_time_is_named(value):
    with pytest.raises(MalformedError, match="start_time is no time"):
        nanoseconds(value, "start_time")
