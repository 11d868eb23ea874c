"""Plain data on standard output, for ``--json``."""

import json
from typing import Any

from clew.cli import _terminal


def write(data: Any, *, indent: int | None = 2) -> None:
    """Print *data* as JSON: ASCII only, so that it reaches every program unchanged."""
    _terminal.write(json.dumps(data, indent=indent))
