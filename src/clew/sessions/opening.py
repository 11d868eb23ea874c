"""Opens the conversations in a file, or on an engine."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from clew.sessions.engines.engine import Window
from clew.sessions.engines.location import (
    connect,
    connect_source,
    file_for,
    is_url,
    sqlite_path,
    window_of,
)
from clew.sessions.store import SessionStore
from clew.store.database import StoreError
from clew.store.database import connect as connect_file
from clew.store.location import store_path

if TYPE_CHECKING:
    from clew.sessions.engines.engine import Engine
    from clew.sessions.engines.store import EngineStore
    from clew.sessions.engines.updating import Progress

    Conversations: TypeAlias = SessionStore | EngineStore

_FOLDER = "engines"


class CopiedSessions(NamedTuple):
    """What was copied of some sessions."""

    path: Path
    """The SQLite store in which they are."""
    traces: int
    """How many they have on the engine."""


def open(  # noqa: A001 - it is sessions.open()
    path: str | Path | None = None,
) -> "SessionStore | EngineStore":
    """Open the store at *path*, or the one that ``CLEW_STORE`` names.

    >>> with open() as store:  # doctest: +SKIP
    ...     for session in store.list(order_by="cost", limit=10):
    ...         print(session.id, session.cost, session.first_message)

    *path* may also be the URL of an engine, such as ``clickhouse://localhost/default``: the spans
    are read where they are, as docs/engines.md describes.
    """
    place = store_path() if path is None else path
    if place is None:
        message = "CLEW_STORE=off: there is no store; name one: clew.sessions.open(path)"
        raise StoreError(message)
    if isinstance(place, str) and is_url(place):
        if (file := sqlite_path(place)) is not None:
            return SessionStore(file)
        return open_engine_store(place)
    return SessionStore(Path(place))


def open_engine_store(
    url: str, processes: int | None = None, tell: "Callable[[Progress], None] | None" = None
) -> "EngineStore":
    """Open the conversations on the engine at *url*.

    So many *processes* summarise what is new, and *tell* is told how far that has come.

    What clew finds in the spans is kept on the engine, if ``clew engines init`` has made tables
    there, or else in a file beside the SQLite store.
    """
    place = connect(url, _folder())
    # These need sqlglot, of whose absence the line before speaks.
    from clew.sessions.engines.forgetting import Local
    from clew.sessions.engines.store import EngineStore
    from clew.sessions.engines.updating import How

    how = How(window_of(url), processes or os.cpu_count() or 1, tell)
    local = Local(file_for(url, _folder(), "db"), file_for(url, _folder(), "duckdb"))
    return EngineStore(place.source, place.tables, how, is_shared=place.is_shared, local=local)


def copy_of(
    url: str,
    tell: "Callable[[int], None] | None" = None,
    asks: "Callable[[Engine], None] | None" = None,
) -> Path:
    """Copy the spans on the engine at *url* into an SQLite store, and return its file.

    The next time only what has changed is copied. *tell* is told how many traces were, and *asks*
    is given the engine, which another thread may cancel.
    """
    source = connect_source(url)
    from clew.sessions.engines.copying import bring_copy_up_to_date

    try:
        if asks is not None:
            asks(source)
        path = file_for(url, _folder(), "db")
        bring_copy_up_to_date(source, path, window_of(url), tell)
    finally:
        source.close()
    return path


def copy_of_sessions(
    url: str,
    sessions: Sequence[str],
    tell: "Callable[[int], None] | None" = None,
    asks: "Callable[[Engine], None] | None" = None,
) -> "CopiedSessions":
    """Copy these *sessions* into the store that `copy_of` fills, whatever is in it already.

    They are those that have spans in the time that the URL chooses; all spans of them are copied.
    """
    source = connect_source(url)
    from clew.sessions.engines.copying import copy_sessions

    try:
        if asks is not None:
            asks(source)
        path = file_for(url, _folder(), "db")
        return CopiedSessions(path, copy_sessions(source, path, sessions, window_of(url), tell))
    finally:
        source.close()


def copy_of_trace(
    url: str,
    trace_id: bytes,
    tell: "Callable[[int], None] | None" = None,
    asks: "Callable[[Engine], None] | None" = None,
) -> tuple[Path, Sequence[str]]:
    """Copy the sessions that a trace is in into that store; return its file, and these sessions.

    Of a trace that is in no session, its spans are copied.
    """
    source = connect_source(url)
    from clew.sessions.engines.copying import copy_trace

    try:
        if asks is not None:
            asks(source)
        path = file_for(url, _folder(), "db")
        return path, copy_trace(source, path, trace_id.hex(), window_of(url), tell)
    finally:
        source.close()


def copy_place(url: str) -> Path:
    """Return the file of the copy of the engine at *url*, made empty if there is none yet.

    An engine or a table that is not there raises an error.
    """
    source = connect_source(url)
    try:
        source.spans_sql(Window())  # Which needs the table's columns.
    finally:
        source.close()
    path = file_for(url, _folder(), "db")
    connect_file(path, create=True).close()
    return path


def send_back(url: str) -> None:
    """Tell the engine at *url* what was said in its copy, if clew's tables are there."""
    path = file_for(url, _folder(), "db")
    if not path.exists():
        return
    from clew.sessions.engines.copying import is_ahead, send_evaluations  # These need sqlglot

    if is_ahead(path):
        source = connect_source(url)
        try:
            send_evaluations(source, path)
        finally:
            source.close()


def _folder() -> Path:
    return (store_path() or Path(".clew/sessions.db").absolute()).parent / _FOLDER
