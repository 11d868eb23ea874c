"""Makes Sphinx's tables of contents from the lists of links in ``index.md``, which GitHub shows.

Comments, which contain code for the tests, are removed from all pages.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

_LIST = re.compile(r"^## (.+)\n\n((?:- \[.+\]\(.+\.md\)\n)+)", re.MULTILINE)
_LINK = re.compile(r"- \[.+\]\((.+)\.md\)")


def _with_toctrees(_app: Sphinx, name: str, source: list[str]) -> None:
    if name == "index":
        source[0] = _LIST.sub(_toctree, source[0])


def _toctree(found: re.Match[str]) -> str:
    entries = _LINK.sub(r"\1", found[2])  # Sphinx takes the title from the page.
    return f"```{{toctree}}\n:maxdepth: 1\n:caption: {found[1]}\n\n{entries}```\n"


def _drop_comments(_app: Sphinx, document: nodes.document) -> None:
    for node in list(document.findall(nodes.raw)):
        if node.astext().lstrip().startswith("<!--"):
            node.parent.remove(node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _with_toctrees)
    app.connect("doctree-read", _drop_comments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
