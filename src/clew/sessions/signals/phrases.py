"""Phrases: finds the phrases of a language in sentences; the lists are in words/*.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from clew.sessions.signals.tokens import Sentence, is_word, sentences, together, without_accents

_FOLDER = Path(__file__).with_name("words")
LANGUAGES = ("en", "de", "fr", "es", "zh")
STRONG, WEAK = 1.0, 0.5
_NEVER = "never"
_PLAIN = ("third_party", "addressed", "pasted", "text_work", "above", "languages")


class Hit(NamedTuple):
    """A phrase that was found."""

    name: str
    score: float
    words: str
    sentence: int
    at: int = 0
    """Before how many words of the sentence it is, punctuation counted as well."""


class _Phrase(NamedTuple):
    words: Sentence
    name: str
    score: float
    begins: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases that one side of a conversation may say, by their first word."""

    by_word: Mapping[str, tuple[_Phrase, ...]]

    def find(self, said: Iterable[Sentence]) -> list[Hit]:
        """Return what is found, without what only looks like it."""
        found: list[Hit] = []
        for number, sentence in enumerate(said):
            matches = [
                (at, phrase)
                for at, word in enumerate(sentence)
                for phrase in self.by_word.get(word, ())
                if _matches(phrase, sentence, at)
            ]
            never = [it for it in matches if it[1].name == _NEVER]
            for at, phrase in matches:
                if phrase.name != _NEVER and not any(_inside(at, phrase, *it) for it in never):
                    words = together(phrase.words)
                    found.append(Hit(phrase.name, phrase.score, words, number, at))
        return found


def _matches(phrase: _Phrase, sentence: Sentence, at: int) -> bool:
    if phrase.begins and at:
        return False
    end = at + len(phrase.words)
    if len(phrase.words) > 1 and sentence[at:end] != phrase.words:
        return False
    return not phrase.ends or end == len(sentence) or not is_word(sentence[end])


def _inside(at: int, phrase: _Phrase, around_at: int, around: _Phrase) -> bool:
    """Whether a phrase shares words with a longer or equally long one."""
    return (
        at < around_at + len(around.words)
        and around_at < at + len(phrase.words)
        and len(phrase.words) <= len(around.words)
    )


@dataclass(frozen=True, slots=True)
class Language:
    """What is known of one language."""

    name: str
    stop_words: frozenset[str]
    user: Phrases
    assistant: Phrases


@cache
def language(name: str) -> Language:
    """Return what is known of a language, read once."""
    said = tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))
    stop_words = frozenset(said["stop_words"])
    plain = {key: said[key] for key in _PLAIN}
    return Language(
        name,
        stop_words,
        _phrases({**said["user"], **plain}, stop_words),
        _phrases(said["assistant"], stop_words),
    )


def _phrases(lists: Mapping[str, Any], stop_words: frozenset[str]) -> Phrases:
    by_word: dict[str, dict[_Phrase, None]] = {}
    for name, value in lists.items():
        strengths = value if isinstance(value, dict) else {"strong": value}
        for strength, several in strengths.items():
            score = {"strong": STRONG, "weak": WEAK}[strength]
            for text in several:
                for words in _spellings(text.strip("^").removesuffix("$"), stop_words):
                    phrase = _Phrase(words, name, score, text.startswith("^"), text.endswith("$"))
                    by_word.setdefault(words[0], {})[phrase] = None
    return Phrases({word: tuple(several) for word, several in by_word.items()})


def _spellings(text: str, stop_words: frozenset[str]) -> list[Sentence]:
    """Return a phrase as it is, and as it is typed without accents, if that is no other word."""
    words = sentences(text)[0]
    plain = sentences(without_accents(text))[0]
    return [words] if plain == words or together(plain) in stop_words else [words, plain]
