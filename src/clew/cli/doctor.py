"""``clew doctor``: reports whether calls are traced and spans arrive, and how to repair it."""

import json
import os
import shutil
import sys
from importlib import import_module
from typing import TextIO

import click

from clew.doctor import launch
from clew.doctor.findings import Severity
from clew.doctor.render import as_data, as_text, counted
from clew.doctor.subject import App, Examined

_PROPAGATORS = "OTEL_PROPAGATORS"


@click.command(
    short_help="Find out whether calls are traced, and if not, why.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "-o",
    "--output",
    # Opened before the app runs, which may take long: its report must not be lost in the end.
    type=click.File("w", "utf-8", errors="backslashreplace", lazy=False),
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
    output: TextIO | None,
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
    problem = _import_propagators()
    from clew.doctor.checks import examine  # Both import the propagators
    from clew.doctor.installed import versions

    app = _run_app(command, imports=imports)
    examined = Examined(app=app, timeout=timeout, propagators_problem=problem)
    sections, installed = examine(examined), versions()
    if as_json:
        text = json.dumps(as_data(sections, installed, examined.app), indent=2)
    else:
        text = as_text(sections, installed)
    if output is None:
        if command and not as_json:
            click.echo()  # Above is the app's own output.
        click.echo(_printable(text), color=False if "NO_COLOR" in os.environ else None)
    else:
        output.write(f"{click.unstyle(text)}\n")
    sys.exit(1 if counted(sections)[Severity.ERROR] else 0)


def _printable(text: str) -> str:
    """Return *text* as it can be printed here: what an app has raised may be any text."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _import_propagators() -> str:
    """Import OpenTelemetry's propagators, whatever OTEL_PROPAGATORS says; return what is wrong.

    The module loads those that it names; most of OpenTelemetry, and of the doctor, imports it.
    """
    module = "opentelemetry.propagate"
    try:
        import_module(module)
    except Exception as problem:
        if (named := os.environ.pop(_PROPAGATORS, None)) is None:
            raise
        try:
            import_module(module)
        finally:
            os.environ[_PROPAGATORS] = named
        return f"{type(problem).__name__}: {problem}"
    return ""


def _run_app(words: tuple[str, ...], *, imports: bool) -> App | None:
    if words and imports:
        message = "--import checks the frameworks and a command checks an app: give one of them"
        raise click.UsageError(message)
    if words:
        example = "give it as: clew doctor -- python app.py"
        if shutil.which(words[0]) is None:
            message = f"there is no command {words[0]!r}; {example}"
            raise click.UsageError(message)
        try:
            return launch.run(words)
        except launch.NotStartedError as problem:
            message = f"{words[0]!r} cannot be started: {problem}; {example}"
            raise click.UsageError(message) from problem
    return launch.import_everything() if imports else None
