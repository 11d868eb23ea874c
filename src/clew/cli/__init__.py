"""Private. The command ``clew``: one module for each of its commands, imported when it is used.

A module whose name begins with ``_`` is no command. One whose name would be a keyword of Python
ends with ``_``, which is not part of the command's name.
"""

import errno
import sqlite3
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

import click

from clew.cli._closed_streams import ClosedStreamError, drop_unwritten, stand_in
from clew.core.errors import ClewError
from clew.instrument.unusable import is_opentelemetrys, why_unusable

_INTERRUPTED = 130
"""The status of a command that Ctrl-C has ended."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Commands(click.Group):
    """Lists this package's modules as commands; each defines a click command ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (module := _modules().get(cmd_name)) is None:
            return None
        try:
            command: click.Command = import_module(f"{__name__}.{module}").command
        except (ValueError, StopIteration) as error:
            if not is_opentelemetrys(error):
                raise
            return _unusable(cmd_name, why_unusable(error))
        return command

    def main(self, *args: Any, **options: Any) -> Any:
        """Say in one line that a standard stream is closed, or that a disk is full."""
        stand_in()
        try:
            return super().main(*args, **options)
        except ClosedStreamError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            place = f" {error.filename}" if error.filename else ""
            click.echo(f"Error: cannot write{place}: {error.strerror}", err=True)
            drop_unwritten()
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say what is wrong in one line where clew or SQLite knows it."""
        try:
            return super().invoke(ctx)
        except ClewError as error:
            raise click.ClickException(str(error)) from error
        except sqlite3.Error as error:
            message = f"the store cannot be used: {error}"
            raise click.ClickException(message) from error
        except KeyboardInterrupt:
            _end_interrupted(ctx)
        except click.Abort as error:  # The end of what is read at a question is one, too.
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
            _end_interrupted(ctx)


def _unusable(name: str, reason: str) -> click.Command:
    """Return a command that only says why it cannot be used: help lists it beside the others."""

    def refuse(**_: Any) -> NoReturn:
        raise click.ClickException(reason)

    given = click.Argument(["given"], nargs=-1)
    return click.Command(
        name,
        params=[given],
        callback=refuse,
        help=reason,
        short_help="(OpenTelemetry cannot start; see clew doctor)",
        context_settings={"ignore_unknown_options": True},
    )


def _end_interrupted(ctx: click.Context) -> NoReturn:
    click.echo("Aborted!", err=True)
    ctx.exit(_INTERRUPTED)


def _modules() -> dict[str, str]:
    """Return the module of each command."""
    names = (module.name for module in iter_modules(__path__))
    return {name.rstrip("_"): name for name in names if not name.startswith("_")}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clew", message="%(prog)s %(version)s")
def main() -> None:
    """One thread, session.id and user.id, through every span of an LLM application."""
