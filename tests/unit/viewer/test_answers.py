"""What takes long to count is kept for a while, and counted again meanwhile."""

from threading import Event, Thread

import pytest

pytest.importorskip("nh3")

from clew.viewer import answers
from clew.viewer.answers import Answers


def test_what_is_quick_is_always_counted():
    kept, counts = Answers(), iter(range(5))
    assert [kept.get("key", lambda: next(counts)).value for _ in range(3)] == [0, 1, 2]


def test_what_takes_long_is_kept(monkeypatch):
    monkeypatch.setattr(answers, "_QUICK_SECONDS", -1.0)
    monkeypatch.setattr(answers, "_FRESH", 10**9)
    kept, counts = Answers(), iter(range(5))
    assert [kept.get("key", lambda: next(counts)).value for _ in range(3)] == [0, 0, 0]
    assert kept.get("other", lambda: "counted").value == "counted"


def test_what_is_old_is_given_while_it_is_counted_again(monkeypatch):
    monkeypatch.setattr(answers, "_QUICK_SECONDS", -1.0)
    monkeypatch.setattr(answers, "_FRESH", 0)
    counting = []

    class Noted(Thread):
        def start(self):
            counting.append(self)
            super().start()

    monkeypatch.setattr(answers, "Thread", Noted)
    kept, may_go_on = Answers(), Event()
    kept.get("key", lambda: "old")

    def slow():
        may_go_on.wait(10)
        return "new"

    for _ in range(3):
        assert kept.get("key", slow).value == "old"
    (only,) = counting
    may_go_on.set()
    only.join(10)
    assert kept.get("key", slow).value == "new"


def test_of_very_many_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(answers, "_QUICK_SECONDS", -1.0)
    kept = Answers()
    for number in range(1000):
        kept.get(number, lambda: None)
    assert len(kept._kept) == answers._KEPT
