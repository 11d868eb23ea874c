"""Gives Phoenix the evaluations that count, as annotations."""

import sqlite3
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from clew.cli.export.errors import ExportError
from clew.cli.export.result import Result
from clew.evaluations.evaluation import Evaluation
from clew.evaluations.phoenix import log_annotations

PIP_LINE = "python -m pip install arize-phoenix-client"


def client_of(endpoint: str, headers: Mapping[str, str]) -> Any:
    """Return Phoenix's own client for the Phoenix at *endpoint*."""
    try:
        client = import_module("phoenix.client").Client
    except ImportError as error:
        message = f"--to phoenix needs Phoenix's client; {PIP_LINE}"
        raise ExportError(message) from error
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/").removesuffix("/v1/traces")
    return client(base_url=urlunsplit(parts._replace(path=path)), headers=dict(headers))


def annotate(
    client: Any, connection: sqlite3.Connection, said: Sequence[Evaluation], result: Result
) -> None:
    """Log these evaluations, and add to *result* what became of them."""

    def is_only_turn(trace: bytes) -> bool:
        query = "SELECT count(*) FROM turn WHERE trace_id = ?"
        return bool(connection.execute(query, (trace,)).fetchone()[0] <= 1)

    result.annotated, reasons = log_annotations(client, said, is_only_turn)
    result.refused += len(said) - result.annotated
    result.reasons += reasons
