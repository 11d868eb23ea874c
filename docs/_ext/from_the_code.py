"""Sphinx directives that generate tables from the code, so that none is maintained by hand.

``{settings}`` writes every CLEW_* variable of `clew.core.settings`; ``{frameworks}`` the table of
`clew.core.frameworks`, with the lowest versions that ``pyproject.toml`` claims.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from packaging.requirements import Requirement
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from clew.core import frameworks, settings

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class _Generated(SphinxDirective):
    """Parses the Markdown that `lines` yields, in place of the directive."""

    source: ClassVar[str]

    def run(self) -> list[nodes.Node]:
        container = nodes.Element()
        self.env.note_dependency(self.source)
        lines = StringList(list(self.lines()), source=self.source)
        self.state.nested_parse(lines, self.content_offset, container)
        return container.children

    def lines(self) -> Iterator[str]:
        raise NotImplementedError


class Settings(_Generated):
    """Every setting: its name, help and default."""

    source = settings.__file__

    def lines(self) -> Iterator[str]:
        for setting in settings.SETTINGS:
            yield f"({setting.name.lower().replace('_', '-')})="
            yield ""
            yield f"`{setting.name}`"
            yield f": {setting.help.replace('*', chr(92) + '*')}"
            yield ""
            yield f"  Without it: {_default_text(setting.default)}.{_secret(setting)}"
            yield ""


def _secret(setting: settings.Setting[Any]) -> str:
    return " It is a secret, and never printed." if setting.secret else ""


def _default_text(default: object) -> str:
    match default:
        case None | "":
            return "nothing is set"
        case bool():
            return "on" if default else "off"
        case ():
            return "none"
        case tuple():
            return ", ".join(f"`{getattr(each, 'name', each)}`" for each in default)
        case float():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"


class Frameworks(_Generated):
    """The frameworks: their names, and the lowest versions that their extras require."""

    source = frameworks.__file__

    def lines(self) -> Iterator[str]:
        extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
        yield "| name and extra | entry point | traced from the import of | needs at least |"
        yield "|---|---|---|---|"
        for row in frameworks.FRAMEWORKS:
            first = Requirement(extras[row.name][0])
            needs = f"{first.name} {_least(first)}"
            yield f"| `{row.name}` | `{row.entry_point}` | `{row.trigger}` | {needs} |"


def _least(requirement: Requirement) -> str:
    return ", ".join(part.version for part in requirement.specifier if part.operator == ">=")


def _drop_comments(_app: Sphinx, document: nodes.document) -> None:
    """Remove comments, which contain code for the tests, from the pages."""
    for node in list(document.findall(nodes.raw)):
        if node.astext().lstrip().startswith("<!--"):
            node.parent.remove(node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("settings", Settings)
    app.add_directive("frameworks", Frameworks)
    app.connect("doctree-read", _drop_comments)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
