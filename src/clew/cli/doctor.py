"""``clew doctor``: reports whether calls are traced and spans arrive, and how to repair it."""

import json
import os
import shutil
import sys
from pathlib import Path

import click

from clew.doctor import launch
from clew.doctor.checks import examine
from clew.doctor.findings import Severity
from clew.doctor.installed import versions
from clew.doctor.render import as_data, as_text, counted
from clew.doctor.subject import App, Examined


@click.command(
    short_help="Find out whether calls are traced, and if not, why.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead; the app's own output still goes to the terminal.",
)
@click.option(
    "--import",
    "imports",
    is_flag=True,
    help="Import every installed framework, in another process, to see whether it is traced.",
)
@click.option(
    "--timeout",
    default=2.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Seconds to wait for an exporter's endpoint; 0: do not send it anything.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(
    *,
    as_json: bool,
    output: Path | None,
    imports: bool,
    timeout: float,
    command: tuple[str, ...],
) -> None:
    """Find out whether calls are traced and spans arrive, and if not, why not.

    Without a COMMAND it checks what is installed and configured, and sends the configured endpoint
    an empty request. With a COMMAND it also runs that, with clew on, and reports what happened
    there:

        clew doctor -- python app.py

    It exits with 1 when there is an error; an app that crashed is one.
    """
    examined = Examined(app=_run_app(command, imports=imports), timeout=timeout)
    sections, installed = examine(examined), versions()
    if as_json:
        text = json.dumps(as_data(sections, installed, examined.app), indent=2)
    else:
        text = as_text(sections, installed)
    if output is None:
        if command and not as_json:
            click.echo()  # Above is the app's own output.
        click.echo(text, color=False if "NO_COLOR" in os.environ else None)
    else:
        output.write_text(f"{click.unstyle(text)}\n", "utf-8")
    sys.exit(1 if counted(sections)[Severity.ERROR] else 0)


def _run_app(words: tuple[str, ...], *, imports: bool) -> App | None:
    if words and imports:
        message = "--import checks the frameworks and a command checks an app: give one of them"
        raise click.UsageError(message)
    if words:
        if shutil.which(words[0]) is None:
            message = f"there is no command {words[0]!r}; give it as: clew doctor -- python app.py"
            raise click.UsageError(message)
        return launch.run(words)
    return launch.import_everything() if imports else None
