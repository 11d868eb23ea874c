"""The page that is written of the landing table says what each of its columns means."""

import re
from types import SimpleNamespace

import pytest

from tests.landing.ledger import Ledger
from tests.landing.tokens import Spent
from tests.providers import Usage


@pytest.fixture
def page(tmp_path):
    ledger = Ledger()
    answered, refused = Spent(2, Usage(3, 4, 7)), Spent(0, Usage())
    ledger.row("openai", "sync").count(answered, answered)
    ledger.row("mistral_chat", "timeout").count(refused, Spent(1, Usage()))
    ledger.row("llamaindex", "recorded traffic").cells += 1
    ended = SimpleNamespace(end_time=1)
    ledger.row("llama_index_chat", "recorded traffic").spans += [ended] * 3
    ledger.write(tmp_path / "landing.md", ["inside", "in_a_pool"])
    return (tmp_path / "landing.md").read_text()


def columns(page):
    headings = re.findall(r"^\| framework \| mode \| (.*) \|$", page, re.MULTILINE)
    return [it for heading in headings for it in heading.split(" | ")]


def test_every_column_is_explained(page):
    assert len(columns(page)) == 10
    for column in columns(page):
        assert page.count(f"\n- **{column}**: ") == 1


def test_a_framework_is_called_as_everywhere_else(page):
    assert "| llamaindex | recorded traffic | 1 | 3 | 0 | 0 | 0 | 0 |" in page
    assert "| mistral | timeout | 0 | 0 |" in page


def test_model_calls_stand_where_they_were_counted(page):
    _, _, calls = page.partition("## The model calls")
    assert "| openai | sync | 2 | 2 | 7 | 0 |" in calls
    assert "| mistral | timeout | 0 | 1 | 0 | 0 |" in calls
    assert "recorded traffic" not in calls


def test_the_ways_are_named(page):
    assert "A call is made 2 ways: inside, in a pool." in page
