"""``clew settings``: lists every CLEW_* variable, its purpose and its value."""

import os

import click

from clew.core.settings import SETTINGS


@click.command()
def command() -> None:
    """Print every CLEW_* variable: its help, its default, and what it is set to here."""
    for setting in SETTINGS:
        text = os.environ.get(setting.name, "").strip()
        shown = "(set, and secret)" if text and setting.secret else text or "(not set)"
        fault = setting.fault(text) if text else None
        unusable = f"  (cannot be used: {fault})" if fault else ""
        click.echo(f"{setting.name}\n    {setting.help}\n    default: {setting.default_text}")
        click.echo(f"    here: {shown}{unusable}\n")
