"""``clew tail``: prints turns as they become complete, whichever process they happen in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from clew.cli import _data, _terminal
from clew.cli._conversation import turn_lines
from clew.cli._options import json_option, store_option
from clew.cli._turn_feed import TurnFeed
from clew.context.pseudonyms import pseudonymise
from clew.sessions.model import Turn
from clew.sessions.plain import turn_data
from clew.store.database import OlderStoreError, StoreMissingError, connect
from clew.store.location import file_identity

_POLL_SECONDS = 0.2
_SECONDS_BETWEEN_LOOKS = 1.0
"""How often it is checked whether the file is still the same one."""


@dataclass(frozen=True)
class _Wanted:
    session: str | None
    user: str | None

    def __call__(self, turn: Turn) -> bool:
        of_user = self.user is None or turn.user_id in {self.user, pseudonymise(self.user)}
        return of_user and self.session in {None, turn.session_id}


@click.command()
@store_option
@json_option
@click.option("--session", metavar="ID", help="Only turns of this session.")
@click.option("--user", metavar="ID", help="Only turns of this user.")
@click.option("--full", is_flag=True, help="Also arguments, results and documents.")
@click.option(
    "--last", type=click.IntRange(min=0), default=0, metavar="N", help="First print the last N."
)
def command(
    *, store: Path, as_json: bool, session: str | None, user: str | None, full: bool, last: int
) -> None:
    """Print each turn when it is complete, until Ctrl-C ends it.

    A turn is one request of the user, with all that was done and said until the answer. With
    --json there is one object on each line.
    """
    first = True
    try:
        for turn in _turns(store, _Wanted(session, user), last):
            if as_json:
                _data.write(turn_data(turn), indent=None)
                continue
            if not first:
                _terminal.write()
            first = False
            title = _terminal.line(" · ".join(filter(None, (turn.session_id, turn.user_id))))
            width = _terminal.width(of_text=True)
            for line in turn_lines(turn, title or "(no session)", full=full, width=width):
                _terminal.write(line)
    except KeyboardInterrupt:
        return


def _turns(path: Path, wanted: _Wanted, last: int) -> Iterator[Turn]:
    """Yield turns as they become complete; in a store that is made anew, all of them."""
    only_new = True
    told = False
    while True:
        file = file_identity(path)
        try:
            connection = connect(path, read_only=True)
        except OlderStoreError:
            connection = connect(path)
        except StoreMissingError:
            if not told:
                _terminal.write(f"Waiting for {path}, which is not there yet.", err=True)
            told, only_new = True, False
            time.sleep(_POLL_SECONDS)
            continue
        feed = TurnFeed(connection, only_new=only_new)
        try:
            if not told:
                _terminal.write(f"Following {path}; Ctrl-C ends it.", err=True)
            told = True
            if only_new:
                yield from reversed(list(feed.last(last, wanted)))
            only_new = False
            yield from _until_replaced(feed, path, file, wanted)
        finally:
            connection.close()


def _until_replaced(
    feed: TurnFeed, path: Path, file: tuple[int, int] | None, wanted: _Wanted
) -> Iterator[Turn]:
    looked = time.monotonic()
    while True:
        yield from filter(wanted, feed.new())
        time.sleep(_POLL_SECONDS)
        if time.monotonic() - looked > _SECONDS_BETWEEN_LOOKS:
            looked = time.monotonic()
            if file_identity(path) != file:
                return
