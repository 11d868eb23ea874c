"""sentences: a text as sentences of words, in the form in which phrases are compared."""

import re
from collections.abc import Iterable
from unicodedata import combining, normalize

Sentence = tuple[str, ...]

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_PART = re.compile(rf"[.!?;…。！？；\n]|[{_CJK}]|[^\W{_CJK}]+")
_ENDS = {".", ";", "…", "。", "；", "\n"}
_MARKS = {"!": "!", "！": "!", "?": "?", "？": "?"}
_APOSTROPHES = str.maketrans({"'": None, "’": None, "‘": None, "`": None})
_MAX_LENGTH = 20_000
"""Of a longer text, the beginning and the end are read."""


def sentences(text: str) -> tuple[Sentence, ...]:
    """Return the sentences of a text: words in lower case, Chinese characters one by one.

    Question marks and exclamation marks are words at the end of a sentence.
    """
    if len(text) > _MAX_LENGTH:
        text = f"{text[: _MAX_LENGTH // 2]}\n{text[-_MAX_LENGTH // 2 :]}"
    if not text.isascii():
        text = normalize("NFKC", text)
    found: list[Sentence] = []
    words: list[str] = []
    for part in _PART.findall(text.translate(_APOSTROPHES).casefold()):
        if part in _ENDS:
            if words:
                found.append(tuple(words))
                words = []
        elif part in _MARKS:
            if words:
                words.append(_MARKS[part])
                found.append(tuple(words))
                words = []
        else:
            words.append(part)
    if words:
        found.append(tuple(words))
    return tuple(found)


def without_accents(text: str) -> str:
    """Return a text as somebody types it who leaves accents out."""
    return "".join(it for it in normalize("NFD", text) if not combining(it))


def is_word(part: str) -> bool:
    """Whether a part of a text is a word, and no mark at the end of a sentence."""
    return part not in {"?", "!"}


def is_character(part: str) -> bool:
    """Whether a word is a Chinese or Japanese character: each counts as a word."""
    return len(part) == 1 and part > "\u3040"


def together(words: Iterable[str]) -> str:
    """Return words as somebody writes them: Chinese characters without spaces."""
    joined = ""
    for word in words:
        close = not is_word(word) or (is_character(word) and is_character(joined[-1:]))
        joined += word if close or not joined else f" {word}"
    return joined
