"""Connects to DuckDB, within limits, and says what went wrong."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from clew.sessions.engines.errors import EngineError

_MEMORY = "2GB"
_ONE = "DuckDB lets one process write a file"
CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_ADVICE = {
    r"HTTP 40[13]\b": f"look at {CREDENTIALS}, and at what they permit",
    r"HTTP 404\b": "there is no such bucket or file",
    r"Could not (?:connect|resolve)": "look at AWS_ENDPOINT_URL_S3, or AWS_REGION",
}
"""What to do about files that are elsewhere, by what DuckDB says."""


def run(
    connection: duckdb.DuckDBPyConnection, label: str, statement: str, values: Any = None
) -> None:
    """Run a statement on the engine that is called *label*."""
    try:
        connection.execute(statement, values)
    except duckdb.Error as error:
        raise explained(label, error) from error


def explained(label: str, error: Exception) -> EngineError:
    """Return the error to raise for one of DuckDB's."""
    if isinstance(error, duckdb.InterruptException):
        return EngineError(f"{label}: cancelled")
    reason = str(error).partition("\n")[0]
    if isinstance(error, duckdb.IOException) and "set lock" in reason:
        message = f"{label}: {_ONE}: try it again when the other one is done; it says: {reason}"
        return EngineError(message)
    advice = next((it for found, it in _ADVICE.items() if re.search(found, reason)), None)
    return EngineError(f"{label}: {f'{advice}; ' if advice else ''}DuckDB says: {reason}")


def opened(path: Path | None) -> duckdb.DuckDBPyConnection:
    """Open the file at *path* to be written, made if it is missing; without a path, none."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "threads": os.cpu_count() or 1,
        # What is not installed is not fetched from DuckDB's server: an error says how to get it.
        "autoinstall_known_extensions": False,
    }
    if path is None:
        # Beside a file, DuckDB has a place of its own for what does not fit into memory.
        config["temp_directory"] = tempfile.gettempdir()
        return duckdb.connect(config=config)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        message = f"{path} cannot be opened: {_ONE}; it says: {reason}"
        raise EngineError(message) from error


def quoted(name: str) -> str:
    """Return the name of a table as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as it is written in SQL."""
    return "'" + value.replace("'", "''") + "'"
