"""Asks an engine in the SQL of the SQLite store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from clew.sessions.engines.engine import Engine
from clew.sessions.engines.parsing import Parameters
from clew.sessions.engines.translation import Translated, translated
from clew.sessions.table import Table

Row = tuple[Any, ...]
_PLAIN: Mapping[type, Callable[[Any], Any]] = {bool: int, Decimal: float}


def asked(engine: Engine, query: Translated) -> Table:
    """Return what a query selects on *engine*."""
    return Table(query.names, list(map(_plain, engine.query(query.sql).rows)))


def rows(engine: Engine, sql: str, parameters: Parameters = ()) -> Sequence[Row]:
    """Return the rows that a query, in SQLite's SQL, selects on *engine*."""
    return list(map(_plain, engine.query(translation(engine, sql, parameters).sql).rows))


def row_batches(engine: Engine, query: Translated) -> tuple[Sequence[str], Iterator[Sequence[Row]]]:
    """Return the columns of a query and its rows, some at a time."""
    return query.names, ([_plain(it) for it in some] for some in engine.batches(query.sql))


def translation(engine: Engine, sql: str, parameters: Parameters = ()) -> Translated:
    """Return a query, in SQLite's SQL, in that of *engine*."""
    return translated(sql, parameters, engine.dialect, engine.spans_sql, engine.window)


def _plain(row: Sequence[Any]) -> Row:
    """Return *row* as SQLite would: a condition is 1 or 0, and there are no decimal numbers."""
    return tuple(_PLAIN[type(it)](it) if type(it) in _PLAIN else it for it in row)
