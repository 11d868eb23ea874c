"""``clew forget``: deletes a session, or all that a user has said, from the store."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli import _data, _terminal
from clew.cli._lookup import unknown, unknown_user
from clew.cli._options import any_store_option, json_option
from clew.cli._store import opened as open_store
from clew.context.pseudonyms import pseudonymise
from clew.core.wording import number_of
from clew.sessions.deletion import Deleted, StillReadError
from clew.sessions.engines.location import window_of
from clew.sessions.store import SessionNotFoundError, SessionStore

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

_SAID = {
    "session_id": "SELECT count(*) AS said FROM evaluation_history WHERE session_id = ?",
    "user_id": "SELECT count(*) AS said FROM evaluation_history "
    "WHERE annotator_kind = 'HUMAN' AND identifier = ?",
}
"""What asks how many evaluations there are: of a session, or by a user, who may have only rated."""


@click.command()
@any_store_option
@json_option
@click.option("--session", metavar="ID", help="The session to delete. Its whole id.")
@click.option("--user", metavar="ID", help="The user to delete, in all sessions.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    *, store: Path | str, as_json: bool, session: str | None, user: str | None, yes: bool
) -> None:
    """Delete a session or a user from the store. It cannot be undone.

    With a user, all turns of that user are deleted; those of others in the same sessions are kept.
    Nothing of what was deleted stays in the files of the store, but for what the spans came from:
    the resource of the process, with its name and command line. While another process reads the
    files, that is not possible: it then ends with an error, and is to be run again.
    """
    if (session is None) == (user is None):
        message = "give either --session ID or --user ID"
        raise click.UsageError(message)
    if isinstance(store, str) and window_of(store).is_bounded:
        message = "a session or a user is deleted as a whole: leave out since= and until="
        raise click.UsageError(message)
    with open_store(store) as opened:
        try:
            users = _stored_users(opened, user) if user is not None else []
            amount = _amount(opened, session, users)
        except SessionNotFoundError:
            if isinstance(opened, SessionStore):  # An earlier deletion may not have been finished.
                opened.finish_forgetting()
            raise
        what = f"session {session!r}" if session is not None else f"user {users[0]!r}"
        question = f"Delete {what}: {amount}?"
        if not yes and not click.confirm(question, err=True):
            _terminal.write("Nothing was deleted.", err=True)
            sys.exit(1)
        deleted, unfinished = _forget(opened, session, users)
    if as_json:
        told = users[0] if users else None
        _data.write({"session": session, "user": told, **deleted._asdict()})
    else:
        spans, traces = number_of(deleted.spans, "span"), number_of(deleted.traces, "trace")
        _terminal.write(f"Deleted {what}: {spans} in {traces}.")
    if unfinished is not None:
        raise unfinished


def _forget(
    store: "Conversations", session: str | None, users: Sequence[str]
) -> tuple[Deleted, StillReadError | None]:
    """Delete a session or users; return how much, and the error if it is still in the files."""
    deleted, unfinished = Deleted(0, 0), None
    for user in users if session is None else [None]:
        try:
            deleted += store.forget(session=session, user=user)
        except StillReadError as error:
            deleted, unfinished = deleted + error.deleted, error
    return deleted, unfinished


def _stored_users(store: "Conversations", typed: str) -> list[str]:
    """Return the ids under which a user is in the store: as typed, as a pseudonym, or as both."""
    ids = dict.fromkeys(map(str, (typed, pseudonymise(typed))))
    found = [it for it in ids if any(_numbers(store, "user_id", it))]
    if not found:
        raise SessionNotFoundError(unknown_user(store, typed))
    return found


def _amount(store: "Conversations", session: str | None, users: Sequence[str]) -> str:
    """Return how much there is to delete; raise an error if there is nothing."""
    column, values = ("session_id", [session]) if session is not None else ("user_id", users)
    counted = [_numbers(store, column, it) for it in values]
    spans, turns, sessions, said = map(sum, zip(*counted, strict=True))
    if session is not None and not spans and not said:
        raise SessionNotFoundError(unknown(store, session))
    parts = [number_of(sessions, "session")] if session is None else []
    parts += [number_of(turns, "turn"), number_of(spans, "span")]
    parts += [number_of(said, "evaluation")] if said else []
    return ", ".join(parts)


def _numbers(store: "Conversations", column: str, value: str) -> tuple[int, int, int, int]:
    """Return how many spans, turns, sessions and evaluations there are of a session or a user."""
    query = f"SELECT count(*) AS spans FROM spans WHERE {column} = ?"  # noqa: S608 - one of two
    spans = store.sql(query, (value,))[0]["spans"]
    said = store.sql(_SAID[column], (value,))[0]["said"]
    query = (
        "SELECT count(*) AS turns, count(DISTINCT session_id) AS sessions "  # noqa: S608
        f"FROM turns WHERE {column} = ?"
    )
    found = store.sql(query, (value,))[0]
    return spans, found["turns"], found["sessions"], said
