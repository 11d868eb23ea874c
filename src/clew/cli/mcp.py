"""``clew mcp``: lets a coding agent ask about conversations, over the Model Context Protocol."""

from importlib.util import find_spec
from pathlib import Path

import click

from clew.cli._options import any_store_option
from clew.core.errors import ClewError
from clew.core.install_command import pip_line


class McpMissingError(ClewError, ImportError):
    """The package of the extra ``mcp`` is not installed."""


_HELP = """Let a coding agent ask about the conversations, over the Model Context Protocol.

It speaks the protocol on standard input and output, and reads the store without ever changing it.
An agent is told to start it, for example in .mcp.json:

\b
    {"mcpServers": {"clew": {"command": "clew", "args": ["mcp"]}}}
"""


@click.command(help=_HELP, short_help="Let a coding agent ask about the conversations.")
@any_store_option
def command(*, store: Path | str) -> None:
    """Serve until the agent closes its end."""
    if find_spec("mcp") is None:
        message = f"clew mcp needs the package mcp: {pip_line('mcp')}"
        raise McpMissingError(message)
    from clew.cli._mcp.server import serve

    serve(store)
