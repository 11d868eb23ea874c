"""docs/landing.md explains each of its columns."""

import re
from types import SimpleNamespace

import pytest

from tests.landing.results import Results
from tests.landing.tokens import ModelCalls
from tests.support.providers import Usage


@pytest.fixture
def page(tmp_path):
    results = Results()
    answered, refused = ModelCalls(2, Usage(3, 4, 7)), ModelCalls(0, Usage())
    results.row("openai", "sync").count(answered, answered)
    results.row("mistral_chat", "timeout").count(refused, ModelCalls(1, Usage()))
    results.row("llamaindex", "recorded traffic").cells += 1
    ended = SimpleNamespace(end_time=1)
    results.row("llama_index_chat", "recorded traffic").spans += [ended] * 3
    results.write(tmp_path / "landing.md", ["inside", "in_a_pool"])
    return (tmp_path / "landing.md").read_text()


def columns(page):
    headings = re.findall(r"^\| framework \| mode \| (.*) \|$", page, re.MULTILINE)
    return [it for heading in headings for it in heading.split(" | ")]


def test_every_column_is_explained(page):
    assert len(columns(page)) == 10
    for column in columns(page):
        assert page.count(f"\n- **{column}**: ") == 1


def test_a_framework_has_its_usual_name(page):
    assert "| llamaindex | recorded traffic | 1 | 3 | 0 | 0 | 0 | 0 |" in page
    assert "| mistral | timeout | 0 | 0 |" in page


def test_only_rows_with_counted_model_calls_are_in_the_second_table(page):
    _, _, calls = page.partition("## The model calls")
    assert "| openai | sync | 2 | 2 | 7 | 0 |" in calls
    assert "| mistral | timeout | 0 | 1 | 0 | 0 |" in calls
    assert "recorded traffic" not in calls


def test_the_ways_are_named(page):
    assert "A call is made 2 ways: inside, in a pool." in page
