"""No provider is ever told the application's ids: every request of every test is looked through.

The ids are those that any span of this process has carried, and those of programs that tests run in
other processes. What a provider must not get is one of them in a header, or a ``baggage`` header.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

from clew.context import ids

OF_PROGRAMS = frozenset({"chat-42", "ada"})
SHORTEST = 3
"""Shorter ids are found everywhere by chance, and numbers are as well."""

_OF_THE_SDKS = re.compile(
    r"accept.*|amz-sdk-.*|authorization|connection|content-.*|date|host|transfer-encoding"
    r"|user-agent|x-amz-.*|x-stainless-.*",
    re.IGNORECASE,
)
"""Headers that are written by the SDKs and their HTTP clients, in words that an id may have too."""

LEAKS: list[str] = []
"""What was found, until somebody looks."""

_carried: set[str] = set()
_usable_id = ids.usable_id


def _noting(value: object) -> str | None:
    usable = _usable_id(value)
    if usable is not None and len(usable) >= SHORTEST and not usable.isdigit():
        _carried.add(usable)
    return usable


ids.usable_id = _noting  # Whatever is stamped on a span has passed here once.


def leaks_in(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return what *headers* say that a provider must not know."""
    known = OF_PROGRAMS | _carried
    found = []
    for name, value in headers:
        if _OF_THE_SDKS.fullmatch(name):
            continue
        said = f"{name}: {unquote(value)}"
        if name.lower() == "baggage" or any(_says(one, said) for one in known):
            found.append(said)
    return found


def _says(one: str, said: str) -> bool:
    return one in said and _as_a_word(one).search(said) is not None


@lru_cache(maxsize=1024)
def _as_a_word(one: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(one)}(?![^\W_])")


def taken() -> list[str]:
    """Return what was found since somebody looked last."""
    found = LEAKS[:]
    LEAKS.clear()
    return found
