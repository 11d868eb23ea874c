"""Every signal is told in plain words."""

import pytest

from clew.sessions.model import BadTurn
from clew.sessions.signals.meanings import MEANINGS, meaning, why
from clew.sessions.signals.signals import SIGNALS


def test_every_signal_has_a_meaning_of_its_own():
    assert set(MEANINGS) == set(SIGNALS)
    assert len(set(MEANINGS.values())) == len(MEANINGS)


def test_a_signal_of_another_release_is_told_by_its_name():
    assert meaning("went_quiet") == "went quiet"


@pytest.mark.parametrize(
    ("kind", "signals", "said"),
    [
        (
            "friction",
            ("corrects", "shouts"),
            "the user is annoyed: the user corrects the assistant",
        ),
        ("failure", ("error", "tool_error"), "something failed: a tool failed"),
        ("failure", ("error",), "something failed"),
        ("friction", (), "the user is annoyed"),
    ],
)
def test_a_bad_turn_is_told_by_its_kind_and_the_strongest_signal(kind, signals, said):
    assert why(BadTurn(1, kind, 0.9, b"", b"", b"", b"", signals)) == said
