"""Builds the command that installs clew with an extra, from where this clew was installed.

Installers record where a package came from, unless that was an index. While there is no release, no
index has clew: then the command names the recorded address, or else the project's repository. For a
released version that came from an index, it names only the package.
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
    """Return the command that installs this clew with *extras*, with the interpreter *python*.

    With *upgrade* it installs the newest clew instead, and not from a copy on this machine.
    """
    command = f"{python} -m pip install {'--upgrade ' if upgrade else ''}"
    chosen = f"[{','.join(extras)}]" if extras else ""
    origin = _origin()
    folder = None if upgrade else _path(origin)
    if folder and origin.get("dir_info", {}).get("editable"):
        return f'{command}-e "{folder}{chosen}"'
    if address := _address(origin, upgrade=upgrade):
        return f'{command}"clew{chosen} @ {address}"'
    return f'{command}"clew{chosen}"' if chosen else f"{command}clew"


def _origin() -> dict[str, Any]:
    """Return what the installer has recorded in direct_url.json; empty if nothing."""
    try:
        text = metadata.distribution("clew").read_text("direct_url.json")
        origin: dict[str, Any] = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return origin if "url" in origin else {}


def _address(origin: dict[str, Any], *, upgrade: bool) -> str | None:
    """Return the address of clew as pip accepts it; None if its name is enough."""
    if vcs := origin.get("vcs_info"):
        revision = vcs.get("requested_revision")
        return f"{vcs['vcs']}+{origin['url']}{f'@{revision}' if revision else ''}"
    url: str | None = origin.get("url")
    if url and (not url.startswith("file:") or (_path(origin) and not upgrade)):
        return url
    return None if _is_release() else f"git+{_REPOSITORY}"


def _is_release() -> bool:
    try:
        return not Version(metadata.version("clew")).is_devrelease
    except metadata.PackageNotFoundError:  # It is not installed, only on the path.
        return False


def _path(origin: dict[str, Any]) -> Path | None:
    """Return the folder or file on this machine that was installed, if it still exists."""
    url = urlsplit(origin.get("url", ""))
    path = Path(url2pathname(url.path))
    return path if url.scheme == "file" and path.exists() else None
