"""The comparison with recordings finds differences."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.providers.recordings import differences

RECORDED = [("opening", {"a": {"b": [{"c": 1}]}}), ("end", {"d": None})]


def test_equal_shapes() -> None:
    ours = [("opening", {"a": {"b": [{"c": 2.5, "x": 1}]}}), ("end", {"d": "set"})]
    assert differences(RECORDED, ours) == []


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ([("opening", {"a": {"b": [{}]}}), ("end", {"d": None})], "a.b[].c is missing"),
        ([("opening", {"a": {"b": [{"c": "1"}]}}), ("end", {"d": None})], "a.b[].c is"),
        ([("opening", {"a": None}), ("end", {"d": None})], "a is ['null']"),
        ([("opening", {"a": {"b": [{"c": 1}]}})], "end: no such event"),
        ([("opening", {"a": {"b": [{"c": 1}]}}), ("end", {})], "end: d is missing"),
        ([("end", {"d": None}), ("opening", {"a": {"b": [{"c": 1}]}})], "order of events"),
    ],
)
def test_differences(ours: list[tuple[str, Any]], expected: str) -> None:
    assert any(expected in one for one in differences(RECORDED, ours))
