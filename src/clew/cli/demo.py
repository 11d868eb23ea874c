"""``clew demo``: a conversation over several frameworks, without keys, shown as a session."""

import click

from clew.demo.conversation import hold
from clew.errors import ClewError
from clew.frameworks import FRAMEWORKS


@click.command()
@click.argument("frameworks", nargs=-1, type=click.Choice([row.extra for row in FRAMEWORKS]))
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
