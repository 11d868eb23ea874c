"""``clew settings``: every variable, what it is for, and what it is now."""

import os
from typing import Any

import click

from clew.settings import SETTINGS, Setting


@click.command()
def command() -> None:
    """Print every CLEW_* variable: its help, its default, and what it is set to here."""
    for setting in SETTINGS:
        text = os.environ.get(setting.name, "").strip()
        shown = "(set, and secret)" if text and setting.secret else text or "(not set)"
        click.echo(f"{setting.name}\n    {setting.help}\n    default: {_default(setting)}")
        click.echo(f"    here: {shown}\n")


def _default(setting: Setting[Any]) -> str:
    match setting.default:
        case None | ():
            return "none"
        case bool(on):
            return "1" if on else "0"
        case value:
            return f"{value}"
