"""Opens the store that a command was given: a file, or an engine, telling how far that is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clew.cli import _terminal
from clew.cli._cancelling import cancellable
from clew.core.wording import number_of
from clew.sessions.opening import open_engine_store
from clew.sessions.store import SessionStore

if TYPE_CHECKING:
    from clew.sessions.engines.store import EngineStore
    from clew.sessions.engines.updating import Progress
    from clew.sessions.opening import Conversations


@contextmanager
def opened(store: Path | str) -> "Iterator[Conversations]":
    """Open the conversations in a file, or on the engine at a URL, whose work Ctrl-C cancels."""
    if isinstance(store, Path):
        with SessionStore(store) as file:
            yield file
        return
    with cancellable() as watch, open_engine(store) as found:
        watch.engines += found.engines
        yield found


def open_engine(url: str) -> "EngineStore":
    """Open the conversations on the engine at a URL."""
    return open_engine_store(url, processes=os.cpu_count() or 1, tell=_tell)


def _tell(progress: "Progress") -> None:
    """Say how far the summaries of what is new have come, where somebody watches."""
    if sys.stderr.isatty():
        days = (
            "" if progress.days_left == 1 else f", {number_of(progress.days_left - 1, 'day')} more"
        )
        line = f"Reading what is new: {progress.done:,} of {progress.all:,} sessions of a day{days}"
        _terminal.write(line, err=True)
