"""``clew users``: lists the users with the figures of their sessions."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _figures, _terminal
from clew.cli._options import json_option, store_option
from clew.cli._table import Column, table
from clew.sessions.store import SessionStore

_COLUMNS = (
    Column("USER", shortest=12),
    Column("SESSIONS", right=True),
    Column("TURNS", right=True, needed=5),
    Column("TOKENS", right=True, needed=4),
    Column("COST", right=True, needed=3),
    Column("ERRORS", right=True, needed=6, alarming=True),
    Column("MEAN TURN", right=True, needed=2),
    Column("FIRST SEEN", needed=1),
    Column("LAST SEEN"),
)


@click.command()
@store_option
@json_option
def command(*, store: Path, as_json: bool) -> None:
    """List the users, the one seen last first."""
    with SessionStore(store) as opened:
        users = opened.users()
    if as_json:
        _data.write(list(users))
        return
    if not users:
        _terminal.write(f"There is no user in {store} yet.", err=True)
        return
    width = _terminal.width()
    now = None if width is None else datetime.now().astimezone()
    for line in table(_COLUMNS, [_row(user, now) for user in users], width):
        _terminal.write(line)


def _row(user: dict[str, Any], now: datetime | None) -> tuple[str, ...]:
    mean = user["mean_latency"]
    return (
        user["user_id"],
        f"{user['sessions']:,}",
        f"{user['turns']:,}",
        _figures.number(user["total_tokens"]),
        _figures.cost(user["cost"]),
        f"{user['errors']:,}",
        _figures.NOTHING if mean is None else _figures.duration(mean),
        _moment(user["first_ns"], now),
        _moment(user["last_ns"], now),
    )


def _moment(nanoseconds: int, now: datetime | None) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
    return _figures.when(moment, now) if now else f"{moment:%Y-%m-%d %H:%M:%S}"
