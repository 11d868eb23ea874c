"""Differences that are not listed are found, and each listed one has a reason."""

import pytest

from tests.release.upstream.compare import (
    LIST,
    Difference,
    listed,
    own_ids,
    short,
    unlisted_differences,
)

TOKENS = Difference(("test_a.py::test_tokens[*",), "llm.token_count.total", "a repair")
PLAIN = {"test_a.py::test_tokens[1]": ("passed", ""), "test_a.py::test_key": ("failed", "no key")}


def with_clew(message, outcome="failed"):
    return {**PLAIN, "test_a.py::test_tokens[1]": (outcome, message)}


def test_a_listed_difference_passes():
    assert unlisted_differences(PLAIN, with_clew("{'llm.token_count.total': 6}"), [TOKENS]) == []


def test_a_test_that_also_fails_without_clew_passes():
    assert (
        unlisted_differences(PLAIN, {**PLAIN, "test_a.py::test_key": ("failed", "other words")}, [])
        == []
    )


def test_a_new_difference_is_reported():
    (found,) = unlisted_differences(PLAIN, with_clew("KeyError: 'model'"), [])
    assert found.startswith("test_a.py::test_tokens[1]: not listed: passed plain, failed with clew")
    assert "KeyError: 'model'" in found


def test_a_listed_test_that_fails_for_another_reason_is_reported():
    (found,) = unlisted_differences(PLAIN, with_clew("KeyError: 'model'"), [TOKENS])
    assert "otherwise than listed" in found


def test_a_listed_difference_that_is_gone_is_reported():
    (found,) = unlisted_differences(PLAIN, PLAIN, [TOKENS])
    assert found == "test_a.py::test_tokens[1]: listed, but passed with clew as without it"


def test_a_pattern_without_tests_is_reported():
    (found,) = unlisted_differences({}, {}, [TOKENS])
    assert found == "test_a.py::test_tokens[*: listed, but the suite has no such test"


@pytest.mark.parametrize("gone", ["plain", "between"])
def test_a_test_that_runs_only_once_is_reported(gone):
    outcomes = {"plain": PLAIN, "between": PLAIN}
    outcomes[gone] = {"test_a.py::test_key": ("failed", "no key")}
    (found,) = unlisted_differences(outcomes["plain"], outcomes["between"], [])
    assert "not run" in found


def test_files_are_named_without_their_folders():
    assert short({"tests/a/test_a.py::C::test_b[x/y]": ("passed", "")}) == {
        "test_a.py::C::test_b[x/y]": ("passed", "")
    }


@pytest.mark.parametrize("suite", ["bedrock", "dspy", "langchain", "llama-index", "mistralai"])
def test_each_listed_difference_has_its_reason(suite):
    for difference in listed(suite, LIST):
        assert difference.tests
        assert difference.says.strip()
        assert len(difference.reason.split()) > 5
    assert isinstance(own_ids(suite, LIST), list)
