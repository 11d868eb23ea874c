"""The command that installs clew with an extra, in a form that works where this clew came from.

Installers note where a package came from, unless that was an index. While there is no release, no
index has clew: then the command names what was noted, or else the project's repository. Of a
released version that came from an index it is the plain command.
"""

import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.version import Version

_REPOSITORY = "https://github.com/clew-project/clew"


def pip_line(*extras: str, python: str = "python", upgrade: bool = False) -> str:
    """Return the command that installs this clew with *extras*, for a *python* of this machine.

    With *upgrade* it is the newest clew instead, so that a copy on this machine will not do.
    """
    command = f"{python} -m pip install {'--upgrade ' if upgrade else ''}"
    chosen = f"[{','.join(extras)}]" if extras else ""
    note = _note()
    folder = None if upgrade else _path(note)
    if folder and note.get("dir_info", {}).get("editable"):
        return f'{command}-e "{folder}{chosen}"'
    if where := _address(note, upgrade=upgrade):
        return f'{command}"clew{chosen} @ {where}"'
    return f'{command}"clew{chosen}"' if chosen else f"{command}clew"


def _note() -> dict[str, Any]:
    """Return what the installer has noted in direct_url.json; nothing where it has not."""
    try:
        text = metadata.distribution("clew").read_text("direct_url.json")
        found: dict[str, Any] = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return found if "url" in found else {}


def _address(note: dict[str, Any], *, upgrade: bool) -> str | None:
    """Return where to get clew, as pip wants it named; None if its name is enough."""
    if kind := note.get("vcs_info"):
        revision = kind.get("requested_revision")
        return f"{kind['vcs']}+{note['url']}{f'@{revision}' if revision else ''}"
    url: str | None = note.get("url")
    if url and (not url.startswith("file:") or (_path(note) and not upgrade)):
        return url
    return None if _is_release() else f"git+{_REPOSITORY}"


def _is_release() -> bool:
    try:
        return not Version(metadata.version("clew")).is_devrelease
    except metadata.PackageNotFoundError:  # It was not installed, but put on the path.
        return False


def _path(note: dict[str, Any]) -> Path | None:
    """Return the folder or file on this machine that is noted, if it is still there."""
    url = urlsplit(note.get("url", ""))
    path = Path(url2pathname(url.path))
    return path if url.scheme == "file" and path.exists() else None
