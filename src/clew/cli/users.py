"""``clew users``: lists the users with the figures of their sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clew.cli import _data, _figures, _metrics, _terminal
from clew.cli._options import any_store_option, json_option, refuse
from clew.cli._store import opened as open_store
from clew.cli._table import Column, table
from clew.core.wording import duration
from clew.evaluations.metrics.figures import Figure, figures

_COLUMNS = (
    Column("USER", shortest=12),
    Column("SESSIONS", right=True),
    Column("TURNS", right=True, needed=5),
    Column("FRICTION", right=True, needed=3),
    Column("TOKENS", right=True, needed=4),
    Column("COST", right=True, needed=3),
    Column("ERRORS", right=True, needed=6, alarming=True),
    Column("MEAN TURN", right=True, needed=2),
    Column("FIRST SEEN", needed=1),
    Column("LAST SEEN"),
)
_WORST = (
    Column("USER", shortest=12),
    Column("VALUE", right=True),
    Column("95 %", needed=4),
    Column("SESSIONS", right=True, needed=6),
    Column("RANKED AS", right=True, needed=2),
)


@click.command()
@any_store_option
@json_option
@_metrics.worst_option
@_metrics.config_option
@click.option("--limit", type=click.IntRange(min=1), help="Of --worst: how many to list.")
def command(
    *, store: Path | str, as_json: bool, worst: str | None, config: Path | None, limit: int | None
) -> None:
    """List the users, the one seen last first; with --worst, those whose sessions are worst.

    They are ranked by the figure, the fewer sessions are behind it the nearer to that of all users,
    so that a user with one session is not the worst by chance.
    """
    if worst is None:
        refuse("belongs to --worst: give that, too", names=["config", "limit"])
    with open_store(store) as opened:
        if worst is not None:
            found = figures(opened, worst, by="user", config=config)
            _show_worst(store, found.groups[:limit], as_json=as_json)
            return
        known = {it.group: it for it in figures(opened, "friction", by="user").groups}
        users = [_with_friction(user, known) for user in opened.users()]
    if as_json:
        _data.write(users)
        return
    if not users:
        _terminal.write(f"There is no user in {store} yet.", err=True)
        return
    width = _terminal.width()
    now = None if width is None else datetime.now().astimezone()
    for line in table(_COLUMNS, [_row(user, now) for user in users], width):
        _terminal.write(line)


def _show_worst(store: Path | str, found: Sequence[Figure], *, as_json: bool) -> None:
    if as_json:
        _data.write([{**asdict(it), "user_id": it.group} for it in found])
        return
    if not found:
        _terminal.write(f"There is no user in {store} yet.", err=True)
        return
    for line in table(_WORST, list(map(_metrics.of_group, found)), _terminal.width()):
        _terminal.write(line)


def _with_friction(user: dict[str, Any], known: Mapping[str | None, Figure]) -> dict[str, Any]:
    """Add the mean friction of a user's sessions, and how many of them are behind it."""
    found = known.get(user["user_id"])
    value, behind = (found.value, found.sessions) if found else (None, 0)
    return {**user, "friction": value, "friction_sessions": behind}


def _friction(user: dict[str, Any]) -> str:
    found, behind = _figures.likelihood(user["friction"]), user["friction_sessions"]
    return found if behind in {0, user["sessions"]} else f"{found} ({behind} of {user['sessions']})"


def _row(user: dict[str, Any], now: datetime | None) -> tuple[str, ...]:
    mean = user["mean_latency"]
    return (
        user["user_id"],
        f"{user['sessions']:,}",
        f"{user['turns']:,}",
        _friction(user),
        _figures.number(user["total_tokens"]),
        _figures.cost(user["cost"]),
        f"{user['errors']:,}",
        _figures.NOTHING if mean is None else duration(mean),
        _moment(user["first_ns"], now),
        _moment(user["last_ns"], now),
    )


def _moment(nanoseconds: int, now: datetime | None) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
    return _figures.when(moment, now) if now else f"{moment:%Y-%m-%d %H:%M:%S}"
