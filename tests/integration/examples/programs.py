"""Starts and stops programs that run until they are stopped, as a user would."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT = 60


@dataclass(frozen=True)
class Start:
    """How an example is started: where, and with which options."""

    example: Path
    folder: Path
    """Where it runs: not its own folder, so that it must find its files from anywhere."""
    environment: Mapping[str, str]
    options: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    """What the command begins with: `opentelemetry-instrument`, or nothing."""

    @contextmanager
    def __call__(self, **environment: str) -> Iterator["Program"]:
        """Run it until the block ends."""
        command = [*self.before, sys.executable, str(self.example / "app.py"), *self.options]
        program = Program(command, self.folder, {**self.environment, **environment})
        try:
            yield program
        finally:
            program.stop()


class Program:
    """A running program, and what it has written to standard output and standard error."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def wrote(self) -> str:
        """What it has written so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for_output(self, pattern: str) -> str:
        """Wait for a line that matches *pattern*; return its first group."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._found(pattern), _TIMEOUT)
            if found := self._found(pattern):
                return found[1]
        message = f"the output has no line that matches {pattern!r}:\n{self.wrote}"
        raise AssertionError(message)

    def stop(self) -> None:
        """Stop it with Ctrl-C."""
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            self._process.wait(_TIMEOUT)
        finally:
            self._process.kill()
            self._reader.join()

    def _found(self, pattern: str) -> re.Match[str] | None:
        return next(filter(None, (re.search(pattern, line) for line in self._lines)), None)

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as written:
            for line in written:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
