"""Writes the parts of the docs that are made from the code: the settings, and the frameworks.

They stand in the page itself, so that it can be read on GitHub, too:

    python -m tests.support.generated_pages
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from clew.core.frameworks import FRAMEWORKS
from clew.core.settings import SETTINGS, Setting

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n\n).*?(\n<!-- end -->)", re.DOTALL)


def with_parts(text: str) -> str:
    """Return the *text* of the page with its generated parts as they should be."""
    parts = {"settings": _settings(), "frameworks": _frameworks()}
    return _PART.sub(
        lambda found: found[1] + "".join(f"{it}\n" for it in parts[found[2]]) + found[3], text
    )


def _settings() -> Iterator[str]:
    for number, setting in enumerate(SETTINGS):
        if number:
            yield ""
        yield f"### {setting.name}"
        yield ""
        yield setting.help.replace("*", r"\*")
        yield ""
        yield f"Without it: {_default_text(setting.default)}.{_secret(setting)}"


def _secret(setting: Setting[Any]) -> str:
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


def _frameworks() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    yield "| name and extra | entry point | traced from the import of | needs at least |"
    yield "|---|---|---|---|"
    for row in FRAMEWORKS:
        first = Requirement(project["optional-dependencies"][row.name][0])
        needs = f"{first.name} {_least(first)}"
        yield f"| `{row.name}` | `{row.entry_point}` | `{row.trigger}` | {needs} |"


def _least(requirement: Requirement) -> str:
    return ", ".join(part.version for part in requirement.specifier if part.operator == ">=")


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text("utf-8")), "utf-8")
