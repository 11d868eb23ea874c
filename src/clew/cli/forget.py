"""``clew forget``: deletes a session, or all that a user has said, from the store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli import _data, _terminal
from clew.cli._lookup import stored_user, unknown, unknown_user
from clew.cli._options import any_store_option, json_option
from clew.cli._store import opened as open_store
from clew.core.wording import number_of
from clew.sessions.store import SessionNotFoundError

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations


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
    Nothing of what was deleted stays in the files of the store.
    """
    if (session is None) == (user is None):
        message = "give either --session ID or --user ID"
        raise click.UsageError(message)
    with open_store(store) as opened:
        user = stored_user(opened, user)
        what = f"session {session!r}" if session is not None else f"user {user!r}"
        question = f"Delete {what}: {_amount(opened, session, user)}?"
        if not yes and not click.confirm(question, err=True):
            _terminal.write("Nothing was deleted.", err=True)
            sys.exit(1)
        deleted = opened.forget(session=session, user=user)
    if as_json:
        _data.write({"session": session, "user": user, **deleted._asdict()})
        return
    spans, traces = number_of(deleted.spans, "span"), number_of(deleted.traces, "trace")
    _terminal.write(f"Deleted {what}: {spans} in {traces}.")


def _amount(store: "Conversations", session: str | None, user: str | None) -> str:
    """Return how much there is to delete; raise an error if there is nothing."""
    column, value = ("session_id", session) if session is not None else ("user_id", user)
    query = f"SELECT count(*) AS spans FROM spans WHERE {column} = ?"  # noqa: S608 - one of two
    spans = store.sql(query, (value,))[0]["spans"]
    said = 0
    if session is not None:  # A session of which only evaluations are kept is one, too.
        query = "SELECT count(*) AS said FROM evaluation_history WHERE session_id = ?"
        said = store.sql(query, (value,))[0]["said"]
    if not spans and not said:
        raise SessionNotFoundError(
            unknown(store, session) if session is not None else unknown_user(store, str(user))
        )
    query = (
        "SELECT count(*) AS turns, count(DISTINCT session_id) AS sessions "  # noqa: S608
        f"FROM turns WHERE {column} = ?"
    )
    found = store.sql(query, (value,))[0]
    turns = f"{number_of(found['turns'], 'turn')}, {number_of(spans, 'span')}"
    turns += f", {number_of(said, 'evaluation')}" if said else ""
    return turns if session is not None else f"{number_of(found['sessions'], 'session')}, {turns}"
