"""Signals take any text: they never raise, and long texts take no more than their length."""

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.sessions.signals.finding import shortened
from clew.sessions.signals.languages import guess
from clew.sessions.signals.own_words import own_words
from clew.sessions.signals.phrases import LANGUAGES, language
from clew.sessions.signals.scores import scores
from clew.sessions.signals.tokens import sentences
from tests.unit.sessions.signals.making import call, conversation, turn

_WORDS = ["you", "useless", "my boss", "translate", "wrong", "no", "没用", "à", "\u0301", "\x00"]
_ODD = ["\ud800", "😀", "ﷺ", "<a>", "```"]
_PIECES = st.sampled_from([*_WORDS, *_ODD, *" \n\"'“”«>:：?!。{}`"])
_TEXTS = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=40).map("".join))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_TEXTS, _TEXTS), max_size=5))
def test_any_text_is_taken(said: list[tuple[str, str]]) -> None:
    found = scores(conversation(*said))
    assert len(found.turns) == len(said)
    for number, it in enumerate(found.turns):
        assert 0 <= it.friction <= 1
        assert 0 <= it.answer <= 1
        assert 0 <= it.failure <= 1
        for noticed in it.findings:
            assert noticed.turn == number
            assert 0 < noticed.score <= 1
            assert len(noticed.words) <= 400


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["model", "tool", "agent"]),
            st.binary(max_size=2),
            st.binary(max_size=2),
            _TEXTS,
            _TEXTS,
            st.sampled_from(["", "stop", "length", "content_filter"]),
        ),
        max_size=8,
    )
)
def test_any_calls_are_taken(several: list[tuple[str, bytes, bytes, str, str, str]]) -> None:
    calls = tuple(
        call(kind, span, parent_id=parent, error=error, result=result, finish_reason=reason)  # type: ignore[arg-type]
        for kind, span, parent, error, result, reason in several
    )
    (it,) = scores([turn("a", "b", calls=calls, errors=len(calls))]).turns
    assert 0 <= it.failure <= 1


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        "`",
        "'a ",
        "“",
        "«",
        "a",
        "a ",
        "no ",
        "?",
        "\n",
        "> ",
        "```\n",
        "没",
        "<",
        "http://",
        ": ",
        "{",
        "ﷺ",
        '"error" ',
        "Error",
        "my boss is useless. ",
        "_",
        "\u0301",
        " '",
    ],
)
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    scores(conversation(("warm", "up")))
    text = piece * (1_000_000 // len(piece))
    calls = (call("tool", b"t", result=text, error=""),)
    begin = process_time()
    scores([turn(text, text, 0, calls=calls), turn(text, text, 1)])
    assert process_time() - begin < 3


def test_quoted_and_pasted_words_are_not_own_words() -> None:
    every = tuple(language(it) for it in LANGUAGES)
    assert own_words('He said "go away" to me', every).split() == ["He", "said", "to", "me"]
    assert own_words("Look:\n```py\nx = 1\n```\nwhy?", every).split() == ["Look:", "why?"]
    assert own_words("> quoted\nmine", every) == "mine"
    assert own_words("Don't say I'm 'very wrong' here", every).split() == [
        "Don't",
        "say",
        "I'm",
        "here",
    ]
    assert own_words("Translate this text: you are wrong", every) == "Translate this text"
    assert own_words("You are wrong: it is Berlin", every) == "You are wrong: it is Berlin"
    document = "\n\n".join(["Is this letter all right?", *["Dear all. " * 50] * 5, "Thanks"])
    assert own_words(document, every).split() == ["Is", "this", "letter", "all", "right?", "Thanks"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is the key for this?", "en"),
        ("Wo ist der Schlüssel für das Haus?", "de"),
        ("Où est la clé de la maison ?", "fr"),
        ("¿Dónde está la llave de mi casa?", "es"),
        ("钥匙在哪里？", "zh"),
        ("鍵はどこですか", "ja"),
        ("Где находится ключ?", "ru"),
        ("ok", ""),
        ("12345", ""),
        ("", ""),
    ],
)
def test_languages_are_guessed(text: str, expected: str) -> None:
    assert guess(word for it in sentences(text) for word in it) == expected


def test_the_words_of_a_finding_are_the_beginning_on_one_line() -> None:
    assert shortened(" a\n\tb ") == "a b"
    assert shortened("a" * 200) == "a" * 200
    assert shortened("a" * 201) == shortened("a" * 9999) == "a" * 199 + "…"
