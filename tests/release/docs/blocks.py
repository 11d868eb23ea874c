"""Reads the code blocks of the README and the docs, and the comments beside them.

A comment directly before a block says why it is not run, or only compiled:

    <!-- not run: it needs an account -->
    <!-- compiled: logfire is not installed here -->

Another comment contains code that readers need not see: assertions about the block before it, or
preparation for the next one. It runs in its place. It can use names that the blocks before it
define, and no block can use names that it defines, so that every shown block runs as it is copied:

    <!-- also run
    assert current().session_id is None
    -->
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[3]
PROJECT_URL = "https://github.com/clew-project/clew"
PAGES = (
    "README.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)

_MARK = re.compile(r"<!--\s*(not run|compiled):\s*(.+?)\s*-->\s*", re.DOTALL)
_HIDDEN = re.compile(r"<!--\s*also run\n(.*?)-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code in a page."""

    page: str
    line: int
    """The line of the page on which its code begins; errors name it."""
    language: str
    code: str
    mark: str = ""
    """``not run`` or ``compiled``; empty for what runs."""
    reason: str = ""
    hidden: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of *page*, in order."""
    return list(_read(page, (ROOT / page).read_text()))


def _read(page: str, text: str) -> Iterator[Block]:
    mark = ("", "")
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            if found := _HIDDEN.fullmatch(token.content):
                yield Block(page, token.map[0] + 2, "python", _dedented(found[1]), hidden=True)
            mark = found.groups() if (found := _MARK.fullmatch(token.content)) else ("", "")
        elif token.type == "fence" and not token.info.startswith("{"):  # Not a directive of Sphinx.
            language = token.info.split(" ")[0]
            language = {"js": "javascript", "sh": "shell"}.get(language, language)
            yield Block(page, token.map[0] + 2, language, _dedented(token.content), *mark)
            mark = ("", "")
        elif token.type == "code_block":
            yield Block(page, token.map[0] + 1, "", token.content, *mark)
            mark = ("", "")
        else:
            mark = ("", "")


def _dedented(code: str) -> str:
    return textwrap.dedent(code)
