"""Finds the file that configures clew for a project, and reads its tables ``[tool.clew.…]``."""

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.settings import CONFIG

_NAME = "pyproject.toml"
_KNOWN = ("check", "evaluators", "metrics")
"""What ``[tool.clew]`` may have."""


@dataclass(frozen=True, slots=True)
class ProjectTable:
    """What stands in a project's file under one name of ``[tool.clew]``."""

    path: Path
    name: str
    content: Any

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.path}: [tool.clew.{self.name}]"

    def mapping(self) -> dict[str, Any]:
        """Return its content, which has to be a table."""
        if not isinstance(self.content, dict):
            message = f"{self.place} must be a table, with names and values"
            raise ConfigurationError(message)
        return self.content


def project_table(name: str, config: Path | None = None) -> ProjectTable | None:
    """Return ``[tool.clew.NAME]``; None if the project has no such table.

    It is read from *config*; if that is None, from the file that ``CLEW_CONFIG`` names, or from the
    nearest ``pyproject.toml`` with ``[tool.clew]``, in the working directory or above it. A file
    that is named and has no ``[tool.clew]`` is an error, and so is a name in it that clew does not
    know: what is misspelt would be taken for what is not there.
    """
    named = config or CONFIG.read()
    path, content = _nearest() if named is None else _of(Path(named))
    for it in content:
        if it not in _KNOWN:
            near = get_close_matches(it, _KNOWN, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            message = f"{path}: [tool.clew] has {it!r:.80}, which is not known{meant}; "
            message += f"there are {', '.join(_KNOWN)}"
            raise ConfigurationError(message)
    return ProjectTable(path, name, content[name]) if name in content else None


def _of(path: Path) -> tuple[Path, dict[str, Any]]:
    if (content := _tables(_read(path))) is None:
        message = f"{path} has no table [tool.clew]"
        raise ConfigurationError(message)
    return path, content


def _nearest() -> tuple[Path, dict[str, Any]]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / _NAME
        if path.is_file() and (content := _tables(_read(path))) is not None:
            return path, content
    return here / _NAME, {}


def _tables(document: dict[str, Any]) -> dict[str, Any] | None:
    tools = document.get("tool")
    found = tools.get("clew") if isinstance(tools, dict) else None
    return found if isinstance(found, dict) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        message = f"the configuration {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the configuration {path} is not valid TOML: {error}"
        raise ConfigurationError(message) from error
