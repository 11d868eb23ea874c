"""Writes to the terminal: as wide as it is, in the characters and colours that it can show."""

import os
import sys
from collections.abc import Iterable, Iterator
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import TextIO
from unicodedata import category, combining, east_asian_width

import click

_WIDEST_TEXT = 100
"""Lines of prose longer than this are hard to read, however wide the terminal is."""
_PLAIN = str.maketrans("·→…─└├│", "->~-`||")
_JOINERS = {"\u200b", "\u200d", "\ufe0e", "\ufe0f"}
_DIRECTION = {
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\u200e",
    "\u200f",
}
"""Characters that change in which order a terminal shows the others."""


def write(text: str = "", *, err: bool = False) -> None:
    """Print *text*; with replacements where the terminal's encoding lacks a character."""
    stream: TextIO = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if not _can_encode(text, encoding):
        text = text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    click.echo(text, err=err, color=False if "NO_COLOR" in os.environ else None)


def width(*, of_text: bool = False) -> int | None:
    """Return how many columns there are; None if what is printed goes to a file or a pipe.

    ``COLUMNS`` counts in any case.
    """
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return None
    columns = max(get_terminal_size((80, 24)).columns, 20)
    return min(columns, _WIDEST_TEXT) if of_text else columns


def safe(text: str) -> str:
    """Return *text* without what a terminal would obey instead of showing it.

    What users and models wrote can contain sequences that clear the screen, or worse.
    """
    text = text.expandtabs(4).replace("\r\n", "\n").replace("\r", "\n")
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def line(text: str) -> str:
    """Return *text* on one line, safe to print."""
    return " ".join(safe(text).split())


def columns_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    text = click.unstyle(text)
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def fit(text: str, columns: int) -> str:
    """Return the beginning of *text* that fits into *columns*, with ``…`` if that is not all."""
    if columns_of(text) <= columns:
        return text
    kept, used = [], 1  # The ellipsis
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        kept.append(character)
    return f"{''.join(kept).rstrip()}…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return *text* with spaces up to so many *columns*."""
    spaces = " " * (columns - columns_of(text))
    return f"{spaces}{text}" if right else f"{text}{spaces}"


def wrapped(text: str, columns: int | None) -> Iterator[str]:
    """Yield the lines of *text*, the long ones broken to fit into so many *columns*."""
    for whole in safe(text).strip("\n").split("\n"):
        if columns is None or columns_of(whole) <= columns:
            yield whole.rstrip()
        elif whole.isascii():
            yield from TextWrapper(max(columns, 10), drop_whitespace=True).wrap(whole) or [""]
        else:
            yield from _broken(whole, max(columns, 10))


def _broken(text: str, columns: int) -> Iterator[str]:
    """Yield the lines of a text of which some characters take two columns, or none."""
    current = ""
    for word in _breakable(text):
        if current and columns_of(current + word.rstrip()) > columns:
            yield current.rstrip()
            current = ""
        while columns_of(word.rstrip()) > columns:
            end = len(fit(word, columns + 1)) - 1 or 1
            yield word[:end]
            word = word[end:]  # noqa: PLW2901 - what is left of it
        current += word
    if current:
        yield current.rstrip()


def _breakable(text: str) -> Iterable[str]:
    """Split *text* where a line may end: after spaces, and after each wide character."""
    part = ""
    for character in text:
        part += character
        if character == " " or (east_asian_width(character) == "W" and character.isalpha()):
            yield part
            part = ""
    if part:
        yield part


def _columns(character: str) -> int:
    if combining(character) or character in _JOINERS or category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1


def _shown(character: str) -> str:
    if character == "\n" or (character.isprintable() and character not in _DIRECTION):
        return character
    if character in _JOINERS or category(character) == "Zs":
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
