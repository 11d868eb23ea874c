"""Adds the documented views to a connection to the store."""

import json
import sqlite3
from functools import cache
from importlib.resources import files
from typing import Any

from clew.store.columns import COLUMNS, joined
from clew.store.database import split_statements
from clew.store.encoding import to_json, unpack


def add_views(connection: sqlite3.Connection) -> None:
    """Make the views of `views.sql` for *connection*."""
    connection.create_function(
        "clew_attributes", 1 + len(COLUMNS), _all_attributes, deterministic=True
    )
    for statement in _statements():
        connection.execute(statement)


@cache
def _statements() -> tuple[str, ...]:
    return tuple(split_statements((files("clew.sessions") / "views.sql").read_text("utf-8")))


def _all_attributes(stored: str | bytes, *values: Any) -> str:
    """Return all attributes of a span as JSON, given what is stored and its columns."""
    by_name = {column.name: value for column, value in zip(COLUMNS, values, strict=True)}
    return to_json(joined(by_name, json.loads(unpack(stored))))
