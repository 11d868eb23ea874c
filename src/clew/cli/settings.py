"""``clew settings``: lists every CLEW_* variable, its purpose and its value."""

import os

import click

from clew.cli import _data
from clew.cli._options import json_option
from clew.core.settings import SETTINGS
from clew.doctor.variables import further_fault


@click.command(short_help="Print every CLEW_* variable and its value.")
@json_option
def command(*, as_json: bool) -> None:
    """Print every CLEW_* variable: its help, its default, and what it is set to here."""
    data = []
    for setting in SETTINGS:
        text = os.environ.get(setting.name, "").strip()
        shown = "(set, and secret)" if text and setting.secret else text or "(not set)"
        fault = (setting.fault(text) or further_fault(setting, text)) if text else None
        if as_json:
            value = None if setting.secret else text or None
            described = {"name": setting.name, "help": setting.help, "set": bool(text)}
            data.append({**described, "value": value, "fault": fault})
            continue
        unusable = f"  (cannot be used: {fault})" if fault else ""
        click.echo(f"{setting.name}\n    {setting.help}\n    default: {setting.default_text}")
        click.echo(f"    here: {shown}{unusable}\n")
    if as_json:
        _data.write(data)
