"""Stands in for a standard stream that is closed, so that who reads or writes it is told."""

import io
import os
import sys
from contextlib import suppress
from typing import NoReturn


class ClosedStreamError(OSError):
    """A standard stream is closed, and was to be read or written."""


class _Closed(io.TextIOBase):
    encoding = "utf-8"
    errors = "strict"

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def buffer(self) -> NoReturn:
        self._refuse()

    def read(self, _: int | None = -1) -> NoReturn:
        self._refuse()

    def readline(self, _: int = -1) -> NoReturn:  # type: ignore[override]  # returns nothing
        self._refuse()

    def write(self, _: str) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        message = f"{self._name} is closed"
        raise ClosedStreamError(message)


def stand_in() -> None:
    """Stand in for standard input and output where Python has found none.

    Nobody needs standard error: what is to be said there is not said.
    """
    if sys.stdin is None:
        sys.stdin = _Closed("standard input")
    if sys.stdout is None:
        sys.stdout = _Closed("standard output")


def drop_unwritten() -> None:
    """Drop what a full disk has not taken: Python would try it at its end, and complain itself."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
