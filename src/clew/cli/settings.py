"""``clew settings``: every variable, what it is for, and what it is now."""

import os
from typing import Any

import click

from clew.settings import SETTINGS, Setting


@click.command()
@click.option("--markdown", is_flag=True, help="Print them as docs/settings.md has them.")
def command(*, markdown: bool) -> None:
    """Print every CLEW_* variable: its help, its default, and what it is set to here."""
    if markdown:
        click.echo(page(), nl=False)
        return
    for setting in SETTINGS:
        text = os.environ.get(setting.name, "").strip()
        shown = "(set, and secret)" if text and setting.secret else text or "(not set)"
        click.echo(f"{setting.name}\n    {setting.help}\n    default: {_default(setting)}")
        click.echo(f"    here: {shown}\n")


def page() -> str:
    """Return the page of the documents that lists the settings."""
    rows = [f"| `{it.name}` | {_default(it)} | {it.help} |" for it in SETTINGS]
    return "\n".join([*_ABOUT, "| variable | default | meaning |", "|---" * 3 + "|", *rows, ""])


_ABOUT = (
    "# Settings",
    "",
    "This page is written by `clew settings --markdown`. Without the option, the command says also",
    "what each is set to. What is given in code counts more than a variable.",
    "",
)


def _default(setting: Setting[Any]) -> str:
    match setting.default:
        case None | ():
            return "none"
        case bool(on):
            return "1" if on else "0"
        case value:
            return f"{value}"
