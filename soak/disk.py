"""A small disk that can be filled: a file system in memory or, without root, a limit on files."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 48 * 2**20
_ROOM = 256 * 2**10
_NO_LIMIT = resource.RLIM_INFINITY


class Disk:
    """A folder that can be full."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted

    @property
    def kind(self) -> str:
        return f"tmpfs of {SIZE // 2**20} MB" if self.is_mounted else "RLIMIT_FSIZE"

    def fill(self) -> None:
        """Leave no room, on the disk or, where it is a limit, for this process."""
        if not self.is_mounted:
            sizes = [file.stat().st_size for file in self.folder.rglob("*") if file.is_file()]
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes, default=0) + _ROOM, _NO_LIMIT))
            return
        found = os.statvfs(self.folder)
        try:
            with self._filler.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, max(4096, found.f_bavail * found.f_bsize))
        except OSError:  # Another process has been faster.
            return

    def free(self) -> None:
        """Make room again."""
        if self.is_mounted:
            self._filler.unlink(missing_ok=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_NO_LIMIT, _NO_LIMIT))

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Make *folder* a small disk."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # There is no such command.
        is_mounted = False
    try:
        yield Disk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
