"""Runs an app for the doctor, with clew in it; its input, output and exit code stay its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clew.doctor.subject import FOLDER, App, Facts

_DISTRIBUTION = "clew_doctor-0.dist-info"
_ENTRY_POINTS = "[opentelemetry_pre_instrument]\nclew_doctor = clew.doctor.observer:begin\n"
"""opentelemetry-instrument puts a ``sitecustomize`` of its own before the doctor's, but calls these
entry points first."""


class NotStartedError(Exception):
    """A command that the system cannot start, such as a script without ``#!``."""


def run(command: Sequence[str], *, imports_only: bool = False) -> App:
    """Run *command* to its end, and collect what its Python processes recorded."""
    with TemporaryDirectory(prefix="clew-doctor-", ignore_cleanup_errors=True) as name:
        folder = Path(name, "running")
        folder.mkdir()
        shutil.copy(Path(__file__).with_name("sitecustomize.py"), folder)
        (folder / _DISTRIBUTION).mkdir()
        metadata = "Metadata-Version: 2.1\nName: clew-doctor\nVersion: 0\n"
        (folder / _DISTRIBUTION / "METADATA").write_text(metadata, "utf-8")
        (folder / _DISTRIBUTION / "entry_points.txt").write_text(_ENTRY_POINTS, "utf-8")
        path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), FOLDER: str(folder)}
        with _signals_forwarded() as processes:
            try:
                process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own
            except OSError as error:
                raise NotStartedError(error.strerror or error) from error
            processes.append(process)
            exit_code = process.wait()
        with suppress(OSError):  # Windows refuses it while a file is open.
            # A process that still ends, as that of a fork server may, must write nowhere then.
            folder = folder.rename(Path(name, "ended"))
        return App(
            tuple(command),
            exit_code,
            tuple(_recorded(folder)),
            imports_only=imports_only,
            unrecorded=sum(
                not file.with_suffix(".json").exists() for file in folder.glob("*.began")
            ),
        )


def import_everything() -> App:
    """Import every installed framework in another process, with clew on."""
    code = "import clew; clew.instrument_all(eager=True)"
    return run([sys.executable, "-c", code], imports_only=True)


def _recorded(folder: Path) -> Iterator[Facts]:
    for file in sorted(folder.glob("*.json")):
        yield json.loads(file.read_text("utf-8"))


@contextmanager
def _signals_forwarded() -> Iterator["list[subprocess.Popen[bytes]]"]:
    """Ignore Ctrl-C, which a terminal sends to the app as well, and forward SIGTERM to the app.

    Ctrl-C gets a handler that does nothing: a child process would inherit ``SIG_IGN``.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: Any) -> None:
        for process in processes:
            process.send_signal(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
    }
    try:
        yield processes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
