"""``clew view``: shows conversations of the store in the browser, or writes them into a file."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import click

from clew.cli import _terminal
from clew.cli._cancelling import CancelledError
from clew.cli._following import Follower
from clew.cli._lookup import find, stored_user
from clew.cli._options import (
    any_store_option,
    copied,
    copied_sessions,
    filter_options,
    order_option,
    searched_in,
    tell_copied,
)
from clew.cli._store import opened
from clew.core.errors import ClewError
from clew.core.install_command import pip_line
from clew.core.wording import number_of
from clew.sessions.engines.location import window_of
from clew.sessions.opening import copy_place, send_back
from clew.sessions.store import SessionStore
from clew.store.database import OtherStoreError, StoreError, connect

_NEEDED = ("starlette", "uvicorn", "jinja2", "markdown_it", "nh3")
_MOST_SAID = 10
"""Sessions of which it is said that they are not complete."""


class ViewMissingError(ClewError, ImportError):
    """A package of the extra ``view`` is not installed."""


class NothingToExportError(ClewError):
    """No session is like the one that was asked for."""


_HELP = """Show the conversations in the browser, and receive spans of other programs, until Ctrl-C.

Spans are received over OTLP/HTTP at 127.0.0.1:4318, if that port is free, and at the page's own
address; both at /v1/traces.

Of an engine, such as clickhouse://HOST/DATABASE?since=7d, the page shows what is copied so far: the
newest day comes first, and what is new there each minute. Spans are received there, and not here.

With --export, write conversations into one HTML file that needs nothing else, to attach it to an
issue; nothing is served.

\b
    clew view --export . chat-42                  this one
    clew view --export report --errors --since 2h those in which something has failed
"""


@click.command(help=_HELP, short_help="Show the conversations in the browser.")
@click.argument("sessions", nargs=-1, metavar="[ID]...")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0: any that is free.  [default: 4319, or any that is free]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. Any but this machine's own needs a token, which is printed.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
@any_store_option
@click.option(
    "--export",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write sessions into a new file there. The options below choose them.",
)
@filter_options
@order_option
@click.option("--limit", type=click.IntRange(min=1), help="How many to write.  [default: 25]")
def command(
    *,
    sessions: Sequence[str],
    port: int | None,
    host: str,
    no_browser: bool,
    store: Path | str,
    directory: Path | None,
    **search: Any,
) -> None:
    """Show the page, or write a file."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        message = f"clew view needs {', '.join(missing)}: {pip_line('view')}"
        raise ViewMissingError(message)
    chosen = {name: value for name, value in search.items() if value is not None and value != ()}
    if chosen == {"order_by": "last"}:
        chosen = {}
    if directory is not None:
        _export(store, directory, sessions, chosen)
        return
    if sessions or chosen:
        message = "sessions are chosen for --export DIR; the page has filters of its own"
        raise click.UsageError(message)
    if isinstance(store, Path):
        _see_that_it_is_one(store)
    from clew.viewer.serve import Address, serve

    def say(line: str) -> None:
        _terminal.write(line, err=True)

    path = copy_place(store) if isinstance(store, str) else store
    if isinstance(store, str):  # What people say on the page.
        click.get_current_context().call_on_close(partial(_send_back, store))
    follower = Follower(store, say, tell_copied) if isinstance(store, str) else nullcontext()
    with follower as source, _ctrl_c_as_before():
        address = Address(host, port)
        serve(path, address, browser=not no_browser, say=say, source=source)


def _see_that_it_is_one(store: Path) -> None:
    """Raise an error if the file is none that is ever shown; it may be missing, or busy now."""
    try:
        connect(store, read_only=True, timeout=0.1).close()
    except OtherStoreError:
        raise
    except StoreError:  # The page says what it is, as long as that lasts.
        pass


@contextmanager
def _ctrl_c_as_before() -> Iterator[None]:
    """Have Ctrl-C do after the block what it did before, whoever handles it inside."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGINT, handler)


def _with_ratings(url: str) -> Path | str:
    """Return where all ratings are: on the engine if clew's tables are there, or in its copy."""
    send_back(url)
    with opened(url) as found:
        is_there = isinstance(found, SessionStore) or found.is_shared
    return url if is_there else copied(url)


def _send_back(url: str) -> None:
    """Tell the engine what was said on the page; Ctrl-C leaves that to the next time."""
    try:
        send_back(url)
    except KeyboardInterrupt as error:
        message = "Cancelled: what was said on the page goes to the engine the next time."
        raise CancelledError(message) from error


def _export(
    store: Path | str, directory: Path, sessions: Sequence[str], search: Mapping[str, Any]
) -> None:
    from clew.viewer.exporting import export

    if sessions and search:
        message = "name sessions, or choose them with options, but not both"
        raise click.UsageError(message)
    if isinstance(store, str) and "rated" in search:
        window = window_of(store)
        store = _with_ratings(store)
        if isinstance(store, Path):
            search = searched_in(window, search)  # It has what was copied before, too.
    with opened(store) as found:
        ids = list(dict.fromkeys(find(found, typed).id for typed in sessions))
        if not sessions:
            wanted = {"limit": 25, **search, "user": stored_user(found, search.get("user"))}
            ids = [session.id for session in found.list(**wanted)]
    if not ids:
        message = "no session is like that, so nothing was written"
        raise NothingToExportError(message)
    done = export(copied_sessions(store, ids), directory, ids)
    for line in done.left_out[:_MOST_SAID]:
        _terminal.write(f"Not complete: {_terminal.line(line)}", err=True)
    if (more := len(done.left_out) - _MOST_SAID) > 0:
        _terminal.write(f"Not complete: {number_of(more, 'session')} more", err=True)
    _terminal.write(f"{number_of(done.sessions, 'session')} in this file:", err=True)
    _terminal.write(str(done.path))
