"""Turns of two conversations are paired by what the user said, and otherwise by number."""

import random
import time

import pytest

pytest.importorskip("nh3")

from clew.viewer.alignment import Pair, align
from clew.viewer.differences import figure, marked
from clew.viewer.wording import duration, number


def pairs(left, right):
    return [(pair.left, pair.right, pair.how) for pair in align(left, right)]


def test_what_is_the_same_is_paired_also_after_one_more_turn():
    assert pairs(["Hello", "Where is it?"], ["Hello", "A red one?", " where IS it? "]) == [
        (0, 0, "same"),
        (None, 1, "alone"),
        (1, 2, "same"),
    ]


def test_what_is_nearly_the_same_is_paired():
    assert pairs(["When does it arrive?", "Bye"], ["xyz", "When will it arrive?", "Bye"]) == [
        (None, 0, "alone"),
        (0, 1, "alike"),
        (1, 2, "same"),
    ]


def test_what_is_different_is_paired_by_its_number():
    assert pairs(["abc", "def", "ghi"], ["123", "456"]) == [
        (0, 0, "number"),
        (1, 1, "number"),
        (2, None, "alone"),
    ]


@pytest.mark.parametrize(("left", "right"), [([], []), (["a"], []), ([], ["a", "b"])])
def test_an_empty_conversation_has_its_pairs_too(left, right):
    assert len(align(left, right)) == max(len(left), len(right))


def test_every_turn_is_in_one_pair():
    chance = random.Random(7)
    words = ["yes", "no", "where is my order", "where is the order", "thanks", ""]
    for _ in range(200):
        left, right = (chance.choices(words, k=chance.randrange(12)) for _ in range(2))
        found = align(left, right)
        assert [it.left for it in found if it.left is not None] == list(range(len(left)))
        assert [it.right for it in found if it.right is not None] == list(range(len(right)))
        assert Pair(None, None, "alone") not in found


@pytest.mark.parametrize("said", [lambda _: "yes", str, lambda n: "x" * 10_000 + str(n)])
def test_long_conversations_are_paired_in_bounded_time(said):
    started = time.process_time()
    align([said(n) for n in range(2000)], [said(n + 1) for n in range(2000)])
    assert time.process_time() - started < 10


def test_the_words_that_are_different_are_marked():
    left, right = marked("It was sent on Monday.", "It was sent today.")
    assert [it.text for it in left if it.only_here] == ["on Monday"]
    assert "".join(it.text for it in left) == "It was sent on Monday."
    assert [it.text for it in right if it.only_here] == ["today"]
    assert "".join(it.text for it in right) == "It was sent today."


def test_of_longer_texts_the_sentences_that_are_different_are_marked():
    same = "".join(f"This is sentence {number}.\n" for number in range(100))
    left, right = marked(f"{same}It costs 9.", f"{same}It costs 7.")
    assert [it.text for it in left if it.only_here] == ["It costs 9."]
    assert "".join(it.text for it in right) == f"{same}It costs 7."


def test_very_long_texts_are_not_marked():
    assert marked("a " * 10_000, "b") is None


def test_a_figure_says_how_much_more_it_is():
    assert figure("took", (1.0, 1.5), duration).change == "+500 ms (+50%)"
    assert figure("tokens", (100, 20), number).change == "\N{MINUS SIGN}80 (\N{MINUS SIGN}80%)"
    assert figure("tokens", (100, 300), number).change == "+200 (\N{MULTIPLICATION SIGN}3.0)"
    assert figure("tokens", (100, 100), number).change == ""
    assert figure("tokens", (None, 100), number).trend == ""
