"""Puts a file that is complete in its place, so that a crash leaves the old one or the new one."""

import os
from pathlib import Path


def replace(new: Path, path: Path) -> None:
    """Make *new*, in the same folder, the file at *path*, and wait until the disk has it."""
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    new.replace(path)
    if os.name == "nt":  # Windows does not open folders.
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
