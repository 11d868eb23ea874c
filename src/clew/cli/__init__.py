"""Private. The command ``clew``: one module for each of its commands, imported when it is used."""

from importlib import import_module
from pkgutil import iter_modules

import click


class _Commands(click.Group):
    """Lists this package's modules as commands; each defines a click command ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(module.name for module in iter_modules(__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clew", message="%(prog)s %(version)s")
def main() -> None:
    """One thread, session.id and user.id, through every span of an LLM application."""
