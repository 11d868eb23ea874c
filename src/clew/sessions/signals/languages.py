"""guess: which language a text is in, from its script and its most frequent words."""

from collections.abc import Iterable
from functools import cache

from clew.sessions.signals.phrases import LANGUAGES, language
from clew.sessions.signals.tokens import is_word

_LATIN = ("en", "de", "fr", "es")
_MIN_STOP_WORDS = 2
_MIN_SHARE = 0.12
_MARGIN = 1.4
_MAX_WORDS = 400
_SCRIPTS = (
    ("ja", "\u3040", "\u30ff"),
    ("zh", "\u3400", "\u9fff"),
    ("ko", "\uac00", "\ud7a3"),
    ("ru", "\u0400", "\u04ff"),
    ("ar", "\u0600", "\u06ff"),
    ("hi", "\u0900", "\u097f"),
    ("el", "\u0370", "\u03ff"),
    ("he", "\u0590", "\u05ff"),
    ("th", "\u0e00", "\u0e7f"),
)
"""Where a script has one language or one that most texts are in, its name stands for the script."""
_JAPANESE_SHARE = 0.15


def guess(words: Iterable[str]) -> str:
    """Return the language of some words, empty if they do not tell."""
    several = dict.fromkeys([it for it in words if is_word(it)][:_MAX_WORDS])  # Each word once.
    if not several:
        return ""
    scripts: dict[str, int] = {}
    counts = dict.fromkeys(_LATIN, 0)
    stop_words = _stop_words()
    latin = 0
    for word in several:
        if word[0] < "\u0370":
            latin += not word.isdigit()
            for name in stop_words.get(word, ()):
                counts[name] += 1
        else:
            name = next((it for it, low, high in _SCRIPTS if low <= word[0] <= high), "")
            scripts[name] = scripts.get(name, 0) + 1
    if sum(scripts.values()) > latin:
        if scripts.get("ja", 0) > _JAPANESE_SHARE * len(several):
            return "ja"
        return max(scripts, key=lambda it: scripts[it])
    best, second, *_ = sorted(counts, key=lambda it: -counts[it])
    sure = (
        counts[best] >= max(_MIN_STOP_WORDS, _MIN_SHARE * latin)
        and counts[best] >= _MARGIN * counts[second]
    )
    return best if sure else ""


@cache
def _stop_words() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in _LATIN:
        for word in language(name).stop_words:
            found[word] = (*found.get(word, ()), name)
    return found


def known(name: str) -> bool:
    """Whether there are phrases of a language."""
    return name in LANGUAGES


def is_stop_word(word: str) -> bool:
    """Whether a word is one that every text has, in one of the languages with Latin letters."""
    return word in _stop_words()
