"""What files have for the value of an attribute."""

from decimal import Decimal

import pytest

from clew.store.formats.cells import MAX_DEPTH, value_of
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
