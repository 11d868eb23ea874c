"""Where the store is, and whether it is still the same file."""

from pathlib import Path

from clew.core import settings

_OFF = frozenset({"off", "none"})


def store_path(text: str | None = None) -> Path | None:
    """Return the file that ``CLEW_STORE`` names, or None if there is to be no store.

    With *text*, that is what the variable contains.
    """
    text = settings.STORE.read() if text is None else text or settings.STORE.default
    if text.lower() in _OFF:
        return None
    path = home_expanded(text)
    try:
        return path.absolute()
    except OSError:  # The current folder was deleted. Whoever opens the file says so.
        return path


def home_expanded(text: str) -> Path:
    """Return the path *text*, in which ``~`` is somebody's home; as it is where nobody has one."""
    path = Path(text)
    try:
        return path.expanduser()
    except (RuntimeError, ValueError):  # No such user, or a name that none can have.
        return path


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from one that takes its place; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
