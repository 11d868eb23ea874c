"""``clew sessions``: lists the conversations in the store, or shows one as text."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clew.cli import _data, _figures, _metrics, _terminal
from clew.cli._conversation import conversation
from clew.cli._lookup import find, stored_user
from clew.cli._options import (
    any_store_option,
    filter_options,
    json_option,
    order_option,
    refuse,
)
from clew.cli._store import opened as open_store
from clew.cli._table import Column, table
from clew.core.wording import duration
from clew.evaluations.metrics.figures import figures
from clew.sessions.plain import session_data
from clew.sessions.session import Session

if TYPE_CHECKING:
    from clew.sessions.opening import Conversations

_COLUMNS = (
    Column("ID", shortest=14),
    Column("USER", needed=2, shortest=10),
    Column("WHEN"),
    Column("TURNS", right=True, needed=6),
    Column("FRICTION", right=True, needed=3),
    Column("DURATION", right=True, needed=1),
    Column("TOKENS", right=True, needed=4),
    Column("COST", right=True, needed=3),
    Column("ERRORS", right=True, needed=5, alarming=True),
    Column("FIRST MESSAGE", needed=7, shortest=18),
)
_OF_ONE = frozenset({"store", "as_json", "full"})
"""The options that mean something where one session is shown."""

_HELP = """List the sessions in the store, or show one as a conversation.

ID: the id of a session, or the beginning of it.

\b
    clew sessions                          the ones used last
    clew sessions chat-42                  what was said in this one
    clew sessions --errors --since 2h      where something has failed
    clew sessions --text "order A-17"      where this was said
    clew sessions --order-by cost          the most expensive ones
    clew sessions --worst friction         those that are worst by a metric
"""


@click.command(help=_HELP, short_help="List conversations, or show one.")
@click.argument("session", required=False, metavar="[ID]")
@any_store_option
@json_option
@click.option("--full", is_flag=True, help="Of one session: also arguments, results, documents.")
@filter_options
@order_option
@_metrics.worst_option
@_metrics.config_option
@click.option("--ascending", is_flag=True, help="The lowest figure first.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=25, show_default=True, help="How many to list."
)
@click.option("--after", metavar="ID", help="Go on after this session, the last one of a list.")
def command(
    *,
    session: str | None,
    store: Path | str,
    as_json: bool,
    full: bool,
    after: str | None,
    worst: str | None,
    config: Path | None,
    **search: Any,
) -> None:
    """List the sessions, or show one."""
    if session is not None:
        refuse("chooses what is listed: leave it out, or the ID", but=_OF_ONE)
    else:
        refuse("shows one session: name it", names=["full"])
    if worst is not None:
        refuse("is of a list in an order, and --worst is another", names=["order_by", "after"])
    else:
        refuse("belongs to --worst: give that, too", names=["config"])
    with open_store(store) as opened:
        if session is not None:
            _show(find(opened, session), as_json=as_json, full=full)
            return
        search["user"] = stored_user(opened, search["user"])
        if worst is not None:
            _list_worst(opened, worst, config, search, as_json=as_json)
            return
        _list(opened, opened.list(after=after, **search), as_json=as_json, limit=search["limit"])


def _show(session: Session, *, as_json: bool, full: bool) -> None:
    if as_json:
        _data.write(session_data(session, turns=True))
        return
    for line in conversation(session, full=full, width=_terminal.width(of_text=True)):
        _terminal.write(line)


def _list(store: "Conversations", found: Sequence[Session], *, as_json: bool, limit: int) -> None:
    if as_json:
        _data.write([session_data(session) for session in found])
        return
    if not found:
        _terminal.write(_nothing(store), err=True)
        return
    width = _terminal.width()
    now = datetime.now().astimezone()
    rows = [_row(session, None if width is None else now) for session in found]
    for line in table(_COLUMNS, rows, width):
        _terminal.write(line)
    if len(found) == limit and width is not None:
        more = f"There may be more: --after {_terminal.line(found[-1].id)}, or --limit"
        _terminal.write(click.style(more, dim=True), err=True)


def _list_worst(
    store: "Conversations",
    metric: str,
    config: Path | None,
    search: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """List the sessions that are worst by a metric; those of which it is not known are left out."""
    asked = _metrics.chosen(search)
    ranked = figures(store, metric, by="session", config=config, **asked).groups
    known = [it for it in ranked if it.value is not None]
    if search["ascending"]:
        known.reverse()
    shown = known[: search["limit"]]
    found = [store.get(str(it.group)) for it in shown]
    if as_json:
        pairs = zip(found, shown, strict=True)
        _data.write(
            [{**session_data(one), "metric": metric, "value": it.value} for one, it in pairs]
        )
        return
    if len(known) < len(ranked):
        _terminal.write(_metrics.unknown(metric, len(ranked) - len(known)), err=True)
    if not found:
        _terminal.write(_nothing(store), err=True)
        return
    width = _terminal.width()
    now = None if width is None else datetime.now().astimezone()
    title = _terminal.line(metric).upper()
    kept = [number for number, it in enumerate(_COLUMNS) if number and it.title != title]
    columns = (_COLUMNS[0], Column(title, right=True), *(_COLUMNS[number] for number in kept))
    rows = []
    for one, it in zip(found, shown, strict=True):
        cells = _row(one, now)
        rows.append((cells[0], _metrics.value(it.value), *(cells[number] for number in kept)))
    for line in table(columns, rows, width):
        _terminal.write(line)


def _nothing(store: "Conversations") -> str:
    (counted,) = store.sql("SELECT count(*) AS number FROM sessions")
    if counted["number"]:
        return "No session is like that."
    return f"There is no session in {store.path} yet."


def _row(session: Session, now: datetime | None) -> tuple[str, ...]:
    """Return the cells of one session; with *now*, how long ago it was."""
    return (
        session.id,
        session.user_id or _figures.NOTHING,
        _figures.when(session.last, now) if now else f"{session.last:%Y-%m-%d %H:%M:%S}",
        f"{len(session.turns):,}",
        _friction(session),
        duration(session.seconds),
        _figures.number(session.tokens.total),
        _figures.cost(session.cost),
        f"{session.errors:,}",
        session.first_message,
    )


def _friction(session: Session) -> str:
    """Return how likely the user is annoyed, and the number of the first bad turn."""
    found = _figures.likelihood(session.friction)
    return f"{found} #{session.first_bad_turn.turn}" if session.first_bad_turn else found
