"""``clew demo``: runs a conversation with several frameworks, without keys, and shows it."""

import click

from clew.cli.demo.conversation import run_conversation
from clew.core.errors import ClewError
from clew.core.frameworks import FRAMEWORKS
from clew.core.spelling import names_by_spelling, normalized

_NAMES = [row.name for row in FRAMEWORKS]


def _names(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the frameworks that *names* mean; any usual spelling is understood."""
    by_name = names_by_spelling(FRAMEWORKS)
    found = []
    for name in names:
        if normalized(name) not in by_name:
            message = f"{name!r} is not one of {', '.join(map(repr, _NAMES))}"
            raise click.BadParameter(message)
        found.append(by_name[normalized(name)])
    return tuple(found)


@click.command()
@click.argument("frameworks", nargs=-1, callback=_names, metavar=f"[{'|'.join(_NAMES)}]...")
def command(frameworks: tuple[str, ...]) -> None:
    """Run one conversation with several frameworks, without keys, and show its session.

    The models' answers are recorded, and nothing leaves this machine. FRAMEWORKS: the ones to use;
    all that are installed, if none is named.
    """
    try:
        for part in run_conversation(frameworks):
            click.echo(part)
    except ClewError as error:
        raise click.ClickException(str(error)) from None
