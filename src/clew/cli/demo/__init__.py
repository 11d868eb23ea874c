"""``clew demo``: a conversation over several frameworks, without keys, shown as a session."""

import click

from clew.cli.demo.conversation import hold
from clew.core.errors import ClewError
from clew.core.frameworks import FRAMEWORKS
from clew.core.spelling import names_by_spelling, normalized

_NAMES = [row.name for row in FRAMEWORKS]


def _names(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of frameworks that may be spelt in any way that people spell them."""
    by_name = names_by_spelling(FRAMEWORKS)
    found = []
    for name in given:
        if normalized(name) not in by_name:
            message = f"{name!r} is not one of {', '.join(map(repr, _NAMES))}"
            raise click.BadParameter(message)
        found.append(by_name[normalized(name)])
    return tuple(found)


@click.command()
@click.argument("frameworks", nargs=-1, callback=_names, metavar=f"[{'|'.join(_NAMES)}]...")
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
