"""A weak-keyed dictionary compares its keys by identity."""

import gc
from dataclasses import dataclass

from clew.core.weak_map import WeakById


@dataclass
class Unhashable:
    value: int = 0


def test_equal_objects_are_two_keys():
    one, other, values = Unhashable(), Unhashable(), WeakById[str]()
    values[one] = "one"
    assert values.get(one) == "one"
    assert values.get(other) is None
    values.discard(other)
    assert list(values) == [one]
    values.discard(one)
    assert list(values) == []


def test_an_object_that_no_longer_exists_is_removed():
    one, other, values = Unhashable(1), Unhashable(2), WeakById[str]()
    values[one] = "one"
    del one
    gc.collect()
    assert list(values) == []
    values[other] = "other"
    assert len(values._entries) == 1
