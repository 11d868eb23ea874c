"""``clew demo``: a conversation over several frameworks, without keys, shown as a session."""

import click

from clew.demo.conversation import hold
from clew.discovery import armable
from clew.errors import ClewError
from clew.frameworks import FRAMEWORKS
from clew.selection import told_apart

_EXTRAS = [row.extra for row in FRAMEWORKS]


def _extras(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the extras of frameworks that may be named in any way that people name them."""
    by_name = {row.name: row.extra for row in FRAMEWORKS}
    found = []
    for name in given:
        known, _unknown = told_apart([name], armable())
        extra = by_name.get(next(iter(known), ""))
        if extra is None:
            message = f"{name!r} is not one of {', '.join(map(repr, _EXTRAS))}"
            raise click.BadParameter(message)
        found.append(extra)
    return tuple(found)


@click.command()
@click.argument("frameworks", nargs=-1, callback=_extras, metavar=f"[{'|'.join(_EXTRAS)}]...")
def command(frameworks: tuple[str, ...]) -> None:
    """Hold a conversation over several frameworks, without keys, and show it as a session.

    What the models said is recorded, and nothing leaves this machine. The FRAMEWORKS are all that
    are installed here, or those that are named.
    """
    try:
        for part in hold(frameworks):
            click.echo(part)
    except ClewError as wrong:
        raise click.ClickException(str(wrong)) from None
