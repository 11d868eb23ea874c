"""``clew run``: runs an application with clew, without a change to its code."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

_HOOK = "opentelemetry.instrumentation.auto_instrumentation"


_HELP = """Run an application with tracing, without a change to its code.

COMMAND is a Python program and its arguments, a module after -m, or any other command that
runs Python:

\b
    clew run app.py --port 8000
    clew run -m package.module
    clew run gunicorn app:application

It does what `opentelemetry-instrument` does, with clew's distro and configurator. The command
replaces this process, so signals reach it and its exit code is the exit code.
"""


@click.command(
    help=_HELP,
    short_help="Run an application with tracing, its code unchanged.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(command: tuple[str, ...]) -> None:
    """Replace this process with COMMAND, under OpenTelemetry's hook and clew's distro."""
    words = _words(command)
    environment = {
        "OTEL_PYTHON_CONFIGURATOR": "clew",  # The user's own value, below, replaces it.
        **os.environ,
        "OTEL_PYTHON_DISTRO": "clew",
        "PYTHONPATH": _path(),
    }
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606 - what the user asked for
    except OSError as error:
        message = f"{words[0]}: {error.strerror}"
        raise click.ClickException(message) from error


def _words(command: tuple[str, ...]) -> list[str]:
    """Return *command*, with Python before it if it begins with a Python file or an option."""
    first = command[0]
    if first.startswith("-") or first.endswith((".py", ".pyz")):
        return [sys.executable, *command]
    if shutil.which(first) is None and Path(first).exists():
        return [sys.executable, *command]
    return list(command)


def _path() -> str:
    """Return the PYTHONPATH that ``opentelemetry-instrument`` sets, its sitecustomize first."""
    spec = find_spec(_HOOK)
    hooks = list(spec.submodule_search_locations or ()) if spec else []
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    rest = [entry for entry in before if entry and entry not in hooks]
    here = str(Path.cwd())
    return os.pathsep.join([*hooks, *([] if here in rest else [here]), *rest])
