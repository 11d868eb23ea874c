"""What is kept of objects of others, by identity."""

import gc
from dataclasses import dataclass

from clew.core.weak_map import WeakById


@dataclass
class Unhashable:
    value: int = 0


def test_equal_objects_are_two():
    one, other, kept = Unhashable(), Unhashable(), WeakById[str]()
    kept[one] = "one"
    assert kept.get(one) == "one"
    assert kept.get(other) is None
    kept.discard(other)
    assert list(kept) == [one]
    kept.discard(one)
    assert list(kept) == []


def test_what_is_gone_is_forgotten():
    one, other, kept = Unhashable(1), Unhashable(2), WeakById[str]()
    kept[one] = "one"
    del one
    gc.collect()
    assert list(kept) == []
    kept[other] = "other"
    assert len(kept._entries) == 1
