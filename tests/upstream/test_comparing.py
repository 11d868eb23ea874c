"""What of a suite's outcomes is complained about, and that the list says what it has to."""

import pytest

from tests.upstream.comparing import LIST, Difference, complaints, listed, own_ids, short

TOKENS = Difference(("test_a.py::test_tokens[*",), "llm.token_count.total", "a repair")
PLAIN = {"test_a.py::test_tokens[1]": ("passed", ""), "test_a.py::test_key": ("failed", "no key")}


def with_clew(said, outcome="failed"):
    return {**PLAIN, "test_a.py::test_tokens[1]": (outcome, said)}


def test_what_is_as_listed_is_fine():
    assert complaints(PLAIN, with_clew("{'llm.token_count.total': 6}"), [TOKENS]) == []


def test_what_fails_plain_as_well_is_fine():
    assert complaints(PLAIN, {**PLAIN, "test_a.py::test_key": ("failed", "other words")}, []) == []


def test_a_new_difference_is_one():
    (found,) = complaints(PLAIN, with_clew("KeyError: 'model'"), [])
    assert found.startswith("test_a.py::test_tokens[1]: not listed: passed plain, failed with clew")
    assert "KeyError: 'model'" in found


def test_a_listed_test_that_fails_for_another_reason_is_one():
    (found,) = complaints(PLAIN, with_clew("KeyError: 'model'"), [TOKENS])
    assert "otherwise than listed" in found


def test_what_is_listed_and_differs_no_more_is_one():
    (found,) = complaints(PLAIN, PLAIN, [TOKENS])
    assert found == "test_a.py::test_tokens[1]: listed, but passed with clew as without it"


def test_a_pattern_without_tests_is_one():
    (found,) = complaints({}, {}, [TOKENS])
    assert found == "test_a.py::test_tokens[*: listed, but the suite has no such test"


@pytest.mark.parametrize("gone", ["plain", "between"])
def test_a_test_that_runs_in_one_way_only_is_one(gone):
    outcomes = {"plain": PLAIN, "between": PLAIN}
    outcomes[gone] = {"test_a.py::test_key": ("failed", "no key")}
    (found,) = complaints(outcomes["plain"], outcomes["between"], [])
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
